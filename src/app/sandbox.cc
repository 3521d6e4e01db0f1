#include "app/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>
#include <string_view>

namespace drover::app {
namespace {

// Sanitizers trace their own process and run a symbolizer when they have something to say.
#ifdef DROVER_SANITIZED
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
// A program that counts which way it goes writes its counts where nobody else may.
#ifdef DROVER_INSTRUMENTED
constexpr bool kInstrumented = true;
#else
constexpr bool kInstrumented = false;
#endif

// Answered with EPERM instead of death: a library that tries one in vain goes on without it.
constexpr int kForbidden[] = {SCMP_SYS(execve),
                              SCMP_SYS(execveat),
                              SCMP_SYS(ptrace),
                              SCMP_SYS(process_vm_readv),
                              SCMP_SYS(process_vm_writev),
                              SCMP_SYS(mount),
                              SCMP_SYS(umount2),
                              SCMP_SYS(pivot_root),
                              SCMP_SYS(chroot),
                              SCMP_SYS(unshare),
                              SCMP_SYS(setns),
                              SCMP_SYS(init_module),
                              SCMP_SYS(finit_module),
                              SCMP_SYS(delete_module),
                              SCMP_SYS(kexec_load),
                              SCMP_SYS(kexec_file_load),
                              SCMP_SYS(bpf),
                              SCMP_SYS(perf_event_open),
                              SCMP_SYS(userfaultfd),
                              SCMP_SYS(keyctl),
                              SCMP_SYS(add_key),
                              SCMP_SYS(request_key),
                              SCMP_SYS(open_by_handle_at),
                              SCMP_SYS(mknod),
                              SCMP_SYS(mknodat),
                              SCMP_SYS(reboot),
                              SCMP_SYS(swapon),
                              SCMP_SYS(swapoff),
                              SCMP_SYS(settimeofday),
                              SCMP_SYS(clock_settime),
                              SCMP_SYS(acct),
                              SCMP_SYS(personality)};

bool forbid_calls() {
  const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  if (filter == nullptr) return false;
  bool fine = true;
  for (const int call : kForbidden) {
    fine = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0) == 0 && fine;
  }
  fine = seccomp_load(filter) == 0 && fine;
  seccomp_release(filter);
  return fine;
}

// --- Landlock: files ---

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kWrite =
    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE;
// Everything that the first version of Landlock can forbid.
constexpr std::uint64_t kAll =
    kRead | kWrite | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
    LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK |
    LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;

bool allow(int ruleset, const char* path, std::uint64_t access) {
  const int fd = ::open(path, O_PATH | O_CLOEXEC);
  // What is not there, or not to be reached by this user, needs no rule.
  if (fd < 0) return errno == ENOENT || errno == EACCES;
  // A rule for a single file may not speak of directories.
  struct stat info{};
  if (::fstat(fd, &info) == 0 && !S_ISDIR(info.st_mode)) {
    access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
  }
  landlock_path_beneath_attr rule{};
  rule.allowed_access = access;
  rule.parent_fd = fd;
  const long added =
      ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  ::close(fd);
  return added == 0;
}

// Started by root it stays root; without its capabilities that is a user like others.
bool drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  return ::syscall(SYS_capset, &header, none) == 0;
}

enum class Files : std::uint8_t { kConfined, kNoLandlock, kRefused };

Files confine_files(const std::vector<std::string>& writable,
                    const std::vector<std::string>& readable) {
  landlock_ruleset_attr handled{};
  handled.handled_access_fs = kAll;
  const int ruleset =
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0));
  if (ruleset < 0) return Files::kNoLandlock;
  // Names and resolvers, the time zone, what the allocator and the C library look up about memory.
  bool fine = true;
  for (const std::string& path : writable) {
    fine = allow(ruleset, path.c_str(), kRead | kWrite) && fine;
  }
  for (const std::string& path : readable) {
    fine = allow(ruleset, path.c_str(), kRead) && fine;
  }
  for (const char* path :
       {"/etc", "/run/systemd/resolve", "/usr/share/zoneinfo", "/dev/urandom", "/proc/self",
        "/proc/meminfo", "/proc/sys/vm", "/sys/devices/system/cpu"}) {
    fine = allow(ruleset, path, kRead) && fine;
  }
  fine = fine && ::syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
  ::close(ruleset);
  return fine ? Files::kConfined : Files::kRefused;
}

std::string_view words(Files files) {
  switch (files) {
    case Files::kConfined:
      return ", files confined";
    case Files::kNoLandlock:
      return ", files not confined (the kernel has no Landlock)";
    case Files::kRefused:
      return ", files not confined (a rule was refused)";
  }
  return "";
}

}  // namespace

std::string enter_sandbox(const std::vector<std::string>& writable,
                          const std::vector<std::string>& readable) {
  if (kSanitized) return "none: built with a sanitizer";
  if (kInstrumented) return "none: built to count which way it goes";
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return "none: no_new_privs was refused";
  std::string state = "no new privileges";
  state += drop_capabilities() ? ", no capabilities" : ", capabilities kept";
  state += words(confine_files(writable, readable));
  state += forbid_calls() ? ", calls filtered" : ", calls not filtered (no seccomp)";
  return state;
}

}  // namespace drover::app
