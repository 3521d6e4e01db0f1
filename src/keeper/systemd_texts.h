#pragma once
// The unit files themselves, to be read as such; systemd_units.cc fills in the names in braces.
// What each part of the sandbox costs and buys stands in docs/decisions and docs/systemd.md.

namespace drover::keeper::texts {

// All three services. LimitCORE: a core file would hold prompts.
inline constexpr char kSandbox[] =
    R"(NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
LockPersonality=yes
PrivateMounts=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RemoveIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
KeyringMode=private
LimitCORE=0
)";

// The nodes of NVIDIA (nvidia, nvidia-uvm, nvidia-caps), AMD (drm, kfd) and Intel (drm) GPUs.
inline constexpr char kDevices[] =
    R"(SupplementaryGroups=video render
DevicePolicy=closed
DeviceAllow=char-nvidia* rw
DeviceAllow=char-drm rw
DeviceAllow=char-kfd rw
)";

inline constexpr char kSocket[] =
    R"([Unit]
Description=drover: {what}
Documentation=man:drover(1)

[Socket]
{listen}FileDescriptorName={name}
Service=drover.service
Backlog=4096
NoDelay=yes

[Install]
WantedBy=sockets.target
)";

// Restarted at once and for ever: clients wait in the sockets meanwhile. The watchdog is fed by the
// loop that decides, so one that hangs is replaced.
inline constexpr char kGateway[] =
    R"([Unit]
Description=drover: the gateway, one address for several Ollama instances
Documentation=man:drover(1)
Requires=drover.socket drover-admin.socket
Wants=network-online.target drover-keeper.service
After=network-online.target drover-keeper.service drover.socket drover-admin.socket
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
Sockets=drover.socket drover-admin.socket
ExecStart={command}
WatchdogSec=30
Restart=always
RestartSec=100ms
# The drain (timeouts.drain), and some seconds for what is cut at its end.
TimeoutStopSec={stop}
User=drover
Group=drover
UMask=0077
StateDirectory=drover
StateDirectoryMode=0700
ReadWritePaths=/run/drover
{state}LimitNOFILE=131072
CPUAccounting=yes
MemoryAccounting=yes
TasksAccounting=yes

{sandbox}MemoryDenyWriteExecute=yes
DevicePolicy=closed
PrivateDevices=yes
PrivateUsers=yes
ProcSubset=pid
ProtectHome=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources

[Install]
WantedBy=multi-user.target
Also=drover.socket drover-admin.socket
)";

// It sees all processes (who holds which GPU) and speaks to systemd over the system bus; the rule
// in polkit-1/rules.d lets it start and stop drover-ollama@ units and nothing else.
inline constexpr char kKeeper[] =
    R"([Unit]
Description=drover: the keeper of the Ollama instances and the GPUs
Documentation=man:drover(1)
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
Restart=always
RestartSec=500ms
User=drover-keeper
Group=drover
# The gateway shares the group and connects to the keeper's socket.
UMask=0007
ReadWritePaths=/run/drover
CPUAccounting=yes
MemoryAccounting=yes
TasksAccounting=yes

{devices}{sandbox}ProtectHome=yes
IPAddressDeny=any
IPAddressAllow=localhost
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources

[Install]
WantedBy=multi-user.target
)";

// KillMode: a server that dies by SIGKILL leaves its runner behind, with the GPU's memory; the
// whole group ends with it. OOMPolicy: Ollama survives the death of a runner by itself.
// ExecStartPre: the CUDA library would load the kernel module and make its device nodes with a
// set-user-ID helper, which NoNewPrivileges forbids; without the nodes an instance silently
// computes on the CPU.
inline constexpr char kInstance[] =
    R"([Unit]
Description=drover: Ollama instance %i
Documentation=man:drover(1)
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
{earlier}EnvironmentFile={folder}%i.env
ExecStartPre=-+/usr/bin/nvidia-modprobe -c 0 -u
ExecStart={ollama} serve
Restart=always
RestartSec=1s
KillMode=control-group
TimeoutStopSec=30
OOMPolicy=continue
User={user}
Group={group}
UMask=0022
{store}LimitNOFILE=65536
CPUAccounting=yes
MemoryAccounting=yes
TasksAccounting=yes
IOAccounting=yes

{devices}{sandbox}ProtectHome=tmpfs
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallFilter=@system-service
SystemCallFilter=~@privileged

[Install]
WantedBy=multi-user.target
)";

inline constexpr char kUsers[] =
    R"(# Users of drover's services.
g video -
g render -
u drover - "drover gateway"
u drover-keeper - "drover keeper"
)";

inline constexpr char kFolders[] =
    R"(# Where the gateway and the keeper meet.
d /run/drover 0770 drover-keeper drover -
)";

inline constexpr char kRights[] =
    R"(// The keeper may start and stop the Ollama instances of drover, and no other unit.
polkit.addRule(function (action, subject) {
  var verbs = ["start", "stop", "restart", "reset-failed"];
  if (action.id == "org.freedesktop.systemd1.manage-units" &&
      subject.user == "drover-keeper" &&
      /^drover-ollama@[A-Za-z0-9:_.-]+\.service$/.test(action.lookup("unit")) &&
      verbs.indexOf(action.lookup("verb")) >= 0) {
    return polkit.Result.YES;
  }
});
)";

}  // namespace drover::keeper::texts
