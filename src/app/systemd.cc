#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "app/effective.h"
#include "app/systemd_layout.h"
#include "app/verbs.h"
#include "keeper/run_program.h"
#include "keeper/systemd_install.h"

namespace drover::app {
namespace {

using keeper::InstallSite;
using keeper::OllamaUnit;
using keeper::SystemdFile;
using keeper::SystemdLayout;

cli::Printed failure(std::string message) {
  return {cli::kFailed, "", "drover: " + std::move(message) + "\n"};
}

Error wrong(std::string message) {
  return {ErrorKind::kConfig, Origin::kSelf, Retry::kNever, std::move(message)};
}

std::optional<std::string> home_of(const std::string& user) {
  const passwd* entry = ::getpwnam(user.c_str());
  if (entry == nullptr) return std::nullopt;
  return std::string(entry->pw_dir);
}

bool can_execute(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

// What is printed, or written for another machine, may name a user and a program that are not here:
// those of Ollama's own installer are assumed.
void assume_the_usual(MachineFacts& facts) {
  facts.home_of = [](const std::string& user) {
    return home_of(user).value_or(user == "ollama" ? "/usr/share/ollama" : "/home/" + user);
  };
  facts.can_execute = [](const std::string& path) {
    return can_execute(path) || path == "/usr/local/bin/ollama";
  };
}

// Paths of the package are the same on every machine, so nothing of this one is looked at.
SystemdLayout package_layout() {
  SystemdLayout layout;
  layout.home = keeper::SystemdHome::kPackage;
  return layout;
}

bool systemd_runs() { return std::filesystem::is_directory("/run/systemd/system"); }

// What is to be installed, and what stands in its place.
struct Intent {
  SystemdLayout layout;
  OllamaUnit service;
};

Result<Intent> intend(const cli::SystemdCommand& command, const config::Environment& environment,
                      const GpuSource& gpus) {
  Effective effective = effective_config(command.config, environment);
  if (!effective.result.ok()) return wrong(effective.result.errors.front().render());
  config::Config& config = effective.result.config;

  MachineFacts facts;
  facts.gpus = gpus();
  facts.user = command.user;
  facts.home_of = home_of;
  facts.can_execute = can_execute;
  if (command.root || command.what == cli::SystemdWhat::kPrint) assume_the_usual(facts);
  std::error_code error;
  facts.drover = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (!command.root && systemd_runs()) {
    const Result<std::string> answer = keeper::run_program(keeper::ollama_unit_question());
    if (answer) facts.service = keeper::read_ollama_unit(*answer);
  }
  const bool default_address = config.listen == config::Config{}.listen;
  Result<SystemdLayout> layout = systemd_layout(config, effective.file, facts);
  if (!layout) return layout.error();
  // Clients find drover where they found Ollama, unless the operator says otherwise.
  if (command.take_over == cli::TakeOver::kYes && default_address) {
    layout->client = {facts.service.address()};
  }
  return Intent{*std::move(layout), std::move(facts.service)};
}

std::string printed(const std::vector<SystemdFile>& files) {
  std::string out;
  for (const SystemdFile& file : files) out += fmt::format("# {}\n{}\n", file.path, file.text);
  return out;
}

cli::Printed print_files(const SystemdLayout& layout) {
  const Result<std::vector<SystemdFile>> files = keeper::systemd_files(layout);
  return files ? cli::Printed{cli::kDone, printed(*files), ""} : failure(files.error().message);
}

InstallSite site_of(const cli::SystemdCommand& command) {
  InstallSite site;
  site.root = command.root.value_or("");
  site.say = [](std::string_view line) {
    fmt::print("{}\n", line);
    std::fflush(stdout);
  };
  if (!command.root) site.run = keeper::run_program;
  return site;
}

// May this machine be changed, by us, now?
Result<void> may_change(const cli::SystemdCommand& command) {
  if (command.root) return {};
  if (::geteuid() != 0) return wrong("this writes to /etc and starts services; run it with sudo");
  if (!systemd_runs()) {
    return wrong(
        "systemd does not run this machine; drover serve starts and watches the "
        "instances without it (--root DIR writes the files for another machine)");
  }
  return {};
}

// The services could not start from there.
bool is_hidden(const std::string& path) {
  return keeper::is_in_a_home(path) || path.starts_with("/tmp/");
}

Result<void> fits(const cli::SystemdCommand& command, const Intent& intent) {
  const OllamaUnit& service = intent.service;
  if (command.take_over == cli::TakeOver::kYes && (!service.found || service.masked)) {
    return wrong(service.masked ? "ollama.service is masked already, so there is nothing to take "
                                  "over; leave --take-over out"
                                : "there is no ollama.service here; leave --take-over out");
  }
  if (!command.root && is_hidden(intent.layout.drover)) {
    return wrong(
        fmt::format("the services cannot see {}: homes and /tmp are hidden from them; "
                    "copy drover to /usr/local/bin and use it from there",
                    intent.layout.drover));
  }
  for (const std::string& address : intent.layout.client) {
    if (command.take_over == cli::TakeOver::kYes || !service.active ||
        address != service.address()) {
      continue;
    }
    return wrong(
        fmt::format("ollama.service runs and holds {}; --take-over replaces it (and "
                    "uninstall brings it back), or give drover another address with "
                    "listen in its configuration",
                    address));
  }
  return {};
}

std::vector<std::string> units_of(const SystemdLayout& layout) {
  std::vector<std::string> units;
  for (const keeper::SystemdInstance& instance : layout.instances) {
    units.push_back(keeper::instance_unit(instance.name));
  }
  units.insert(units.end(),
               {"drover-keeper.service", "drover.socket", "drover-admin.socket", "drover.service"});
  return units;
}

cli::Printed install(const cli::SystemdCommand& command, const Intent& intent) {
  if (Result<void> fine = fits(command, intent); !fine) return failure(fine.error().message);
  const Result<std::vector<SystemdFile>> files = keeper::systemd_files(intent.layout);
  if (!files) return failure(files.error().message);
  std::optional<OllamaUnit> take_over;
  if (command.take_over == cli::TakeOver::kYes) take_over = intent.service;
  const Result<void> done =
      keeper::install(site_of(command), *files, units_of(intent.layout), take_over);
  if (!done) return failure(done.error().message);
  if (command.root) return {cli::kDone, "The files are written; nothing was started.\n", ""};
  std::string warning;
  if (!std::filesystem::exists("/usr/lib/polkit-1/polkitd")) {
    warning =
        "warning: polkit is not installed, so the keeper may not restart an instance that hangs; "
        "systemd restarts those that end. Install the package polkitd.\n";
  }
  return {cli::kDone,
          fmt::format("drover serves on {} with {} instances. See drover status, and journalctl "
                      "-u 'drover*'.\n",
                      fmt::join(intent.layout.client, ", "), intent.layout.instances.size()),
          std::move(warning)};
}

}  // namespace

cli::Printed run_systemd(const cli::SystemdCommand& command, const config::Environment& environment,
                         const GpuSource& gpus) {
  if (command.paths == cli::Paths::kPackage) return print_files(package_layout());
  if (command.what != cli::SystemdWhat::kPrint) {
    if (Result<void> may = may_change(command); !may) return failure(may.error().message);
  }
  if (command.what == cli::SystemdWhat::kUninstall) {
    const Result<void> done = keeper::uninstall(site_of(command));
    if (!done) return failure(done.error().message);
    return {cli::kDone, "Everything is as it was before drover systemd install.\n", ""};
  }
  const Result<Intent> intent = intend(command, environment, gpus);
  if (!intent) return failure(intent.error().message);
  return command.what == cli::SystemdWhat::kPrint ? print_files(intent->layout)
                                                  : install(command, *intent);
}

}  // namespace drover::app
