#include "keeper/systemd_install.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace drover::keeper {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUnitFolder = "/etc/systemd/system/";

Error failure(std::string message) {
  return {ErrorKind::kSystem, Origin::kSelf, Retry::kNever, std::move(message)};
}

// One thing that was done, and how to take it back.
enum class Did {
  kFolder,  // made a directory            → remove it, if it is empty
  kFile,    // wrote a file                → remove it
  kAside,   // renamed a unit's file       → rename it back
  kMask,    // linked a unit to /dev/null  → remove the link
  kStop,    // stopped a unit that ran     → start it
  kEnable,  // enabled and started a unit  → stop and disable it
  kReload,  // changes units from here on  → once they are back, systemd reads them again
};
constexpr std::pair<Did, std::string_view> kWords[] = {
    {Did::kFolder, "folder"}, {Did::kFile, "file"}, {Did::kAside, "aside"},
    {Did::kMask, "mask"},     {Did::kStop, "stop"}, {Did::kEnable, "enable"},
    {Did::kReload, "reload"},
};

std::string_view word_of(Did did) {
  return std::find_if(std::begin(kWords), std::end(kWords),
                      [&](const auto& entry) { return entry.first == did; })
      ->second;
}

struct Step {
  Did did = Did::kReload;
  std::string what;  // a path without the root, or a unit
};

std::optional<Step> parse_step(std::string_view line) {
  const std::size_t blank = std::min(line.find(' '), line.size());
  const auto known = std::find_if(std::begin(kWords), std::end(kWords), [&](const auto& entry) {
    return entry.second == line.substr(0, blank);
  });
  if (known == std::end(kWords)) return std::nullopt;
  return Step{known->first, std::string(line.substr(std::min(blank + 1, line.size())))};
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Written beside and renamed, so that a reader sees the old text or the new, and a crash leaves one
// of them.
Result<void> write_file(const std::string& path, std::string_view text, unsigned mode) {
  const std::string draft = path + ".new";
  const int fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) return failure(fmt::format("cannot write {}: {}", path, std::strerror(errno)));
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fchmod(fd, mode) == 0 && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  if (written && ::rename(draft.c_str(), path.c_str()) == 0) return {};
  ::unlink(draft.c_str());
  return failure(fmt::format("cannot write {}: {}", path, std::strerror(error)));
}

// The steps that were taken, on disk.
class Journal {
 public:
  explicit Journal(const InstallSite& site) : path_(site.root + kJournalPath) {}

  bool exists() const { return fs::exists(path_); }

  std::vector<Step> steps() const {
    std::vector<Step> steps;
    std::istringstream lines(read_file(path_));
    for (std::string line; std::getline(lines, line);) {
      if (std::optional<Step> step = parse_step(line)) steps.push_back(*std::move(step));
    }
    return steps;
  }

  // Creates the journal with its first line. 0700: root obeys it.
  Result<void> begin() {
    std::error_code error;
    const fs::path folder = fs::path(path_).parent_path();
    fs::create_directories(folder, error);
    if (error) return failure(fmt::format("cannot make {}: {}", folder.string(), error.message()));
    fs::permissions(folder, fs::perms::owner_all, error);
    return replace({});
  }

  Result<void> add(Step step) {
    std::vector<Step> all = steps();
    all.push_back(std::move(step));
    return replace(all);
  }

  // The steps that are still to be taken back; none: the journal goes.
  Result<void> replace(const std::vector<Step>& steps) {
    std::string text = "# What drover systemd install has done; uninstall goes back, last first.\n";
    for (const Step& step : steps) {
      text += fmt::format("{} {}\n", word_of(step.did), step.what);
    }
    return write_file(path_, text, 0600);
  }

  void end() {
    std::error_code ignored;
    fs::remove(path_, ignored);
    fs::remove(fs::path(path_).parent_path(), ignored);
  }

 private:
  std::string path_;
};

class Installer {
 public:
  explicit Installer(const InstallSite& site) : site_(site), journal_(site) {}

  Result<void> install(const std::vector<SystemdFile>& files, const std::vector<std::string>& units,
                       const std::optional<OllamaUnit>& take_over);
  Result<void> go_back();

 private:
  Result<void> steps(const std::vector<SystemdFile>& files, const std::vector<std::string>& units,
                     const std::optional<OllamaUnit>& take_over);
  Result<void> none_is_foreign(const std::vector<SystemdFile>& files) const;
  Result<void> put(const SystemdFile& file);
  Result<void> make_folders(const fs::path& folder);
  Result<void> make_users(const std::vector<SystemdFile>& files);
  Result<void> silence(const OllamaUnit& service);
  Result<void> take_back(const Step& step);
  Result<void> move(const std::string& from, const std::string& to) const;

  Result<void> run(std::vector<std::string> argv) const {
    if (!site_.run) return {};
    site_.say(fmt::format("run     {}", fmt::join(argv, " ")));
    const Result<std::string> said = site_.run(argv);
    return said ? Result<void>() : said.error();
  }

  const InstallSite& site_;
  Journal journal_;
};

// Steps that need another: what comes after a failure is not tried.
#define DROVER_STEP(expression)                                        \
  do {                                                                 \
    if (Result<void> outcome = (expression); !outcome) return outcome; \
  } while (false)

Result<void> Installer::install(const std::vector<SystemdFile>& files,
                                const std::vector<std::string>& units,
                                const std::optional<OllamaUnit>& take_over) {
  DROVER_STEP(none_is_foreign(files));
  DROVER_STEP(journal_.begin());
  Result<void> outcome = steps(files, units, take_over);
  if (outcome) return {};
  site_.say(fmt::format("failed  {}", outcome.error().message));
  site_.say("Going back to how it was:");
  if (Result<void> back = go_back(); !back) return back;
  return outcome;
}

Result<void> Installer::steps(const std::vector<SystemdFile>& files,
                              const std::vector<std::string>& units,
                              const std::optional<OllamaUnit>& take_over) {
  DROVER_STEP(journal_.add({Did::kReload, ""}));
  for (const SystemdFile& file : files) DROVER_STEP(put(file));
  if (!site_.run) return {};
  DROVER_STEP(make_users(files));
  // From here on the models are not served, until our own units have started.
  if (take_over) DROVER_STEP(silence(*take_over));
  DROVER_STEP(run({"systemctl", "daemon-reload"}));
  for (const std::string& unit : units) {
    DROVER_STEP(journal_.add({Did::kEnable, unit}));
    DROVER_STEP(run({"systemctl", "enable", "--now", unit}));
  }
  return {};
}

Result<void> Installer::none_is_foreign(const std::vector<SystemdFile>& files) const {
  for (const SystemdFile& file : files) {
    if (!fs::exists(site_.root + file.path)) continue;
    return failure(
        fmt::format("{} is there already and was not written by drover systemd "
                    "install; move it away first",
                    file.path));
  }
  return {};
}

Result<void> Installer::put(const SystemdFile& file) {
  DROVER_STEP(make_folders(fs::path(file.path).parent_path()));
  DROVER_STEP(journal_.add({Did::kFile, file.path}));
  site_.say(fmt::format("write   {}", file.path));
  return write_file(site_.root + file.path, file.text, file.mode);
}

Result<void> Installer::make_folders(const fs::path& folder) {
  if (fs::exists(site_.root + folder.string())) return {};
  DROVER_STEP(make_folders(folder.parent_path()));
  DROVER_STEP(journal_.add({Did::kFolder, folder.string()}));
  std::error_code error;
  fs::create_directory(site_.root + folder.string(), error);
  if (error) return failure(fmt::format("cannot make {}: {}", folder.string(), error.message()));
  return {};
}

// The users stay when drover goes: files that they own may stay as well, and a number that is given
// to somebody else would hand these over.
Result<void> Installer::make_users(const std::vector<SystemdFile>& files) {
  for (const SystemdFile& file : files) {
    if (file.path.find("/sysusers.d/") != std::string::npos) {
      DROVER_STEP(run({"systemd-sysusers", site_.root + file.path}));
    }
    if (file.path.find("/tmpfiles.d/") != std::string::npos) {
      DROVER_STEP(run({"systemd-tmpfiles", "--create", site_.root + file.path}));
    }
  }
  return {};
}

// A unit file in /etc stands where the mask has to be, so it is put aside. The mask is made by
// hand: `systemctl mask` refuses while the file is there, and `systemctl unmask` would remove the
// links that enable the service as well. Those are not touched; they wait for its return.
Result<void> Installer::silence(const OllamaUnit& service) {
  if (service.active) {
    DROVER_STEP(journal_.add({Did::kStop, kOllamaUnitName}));
    DROVER_STEP(run({"systemctl", "stop", kOllamaUnitName}));
  }
  DROVER_STEP(journal_.add({Did::kReload, ""}));
  if (service.unit_file.starts_with("/etc/")) {
    DROVER_STEP(journal_.add({Did::kAside, service.unit_file}));
    DROVER_STEP(move(service.unit_file, service.unit_file + kAside));
  }
  const std::string mask = std::string(kUnitFolder) + kOllamaUnitName;
  DROVER_STEP(journal_.add({Did::kMask, mask}));
  site_.say(fmt::format("mask    {}", kOllamaUnitName));
  if (::symlink("/dev/null", (site_.root + mask).c_str()) == 0) return {};
  return failure(fmt::format("cannot link {} to /dev/null: {}", mask, std::strerror(errno)));
}

Result<void> Installer::move(const std::string& from, const std::string& to) const {
  site_.say(fmt::format("rename  {} to {}", from, to));
  if (::rename((site_.root + from).c_str(), (site_.root + to).c_str()) == 0) return {};
  return failure(fmt::format("cannot rename {} to {}: {}", from, to, std::strerror(errno)));
}

// From the end of the journal. A step that cannot be taken back does not keep the others.
Result<void> Installer::go_back() {
  std::vector<Step> left = journal_.steps();
  std::vector<Step> stuck;
  std::string why;
  while (!left.empty()) {
    const Step step = left.back();
    left.pop_back();
    if (Result<void> outcome = take_back(step); !outcome) {
      site_.say(fmt::format("failed  {}", outcome.error().message));
      stuck.insert(stuck.begin(), step);
      why = outcome.error().message;
    }
    std::vector<Step> all = left;
    all.insert(all.end(), stuck.begin(), stuck.end());
    DROVER_STEP(journal_.replace(all));
  }
  if (stuck.empty()) {
    journal_.end();
    return {};
  }
  return failure(
      fmt::format("{} of the steps could not be taken back ({}); mend that and run "
                  "drover systemd uninstall again",
                  stuck.size(), why));
}

Result<void> Installer::take_back(const Step& step) {
  const std::string path = site_.root + step.what;
  std::error_code error;
  switch (step.did) {
    case Did::kFolder:
      fs::remove(path, error);  // not when somebody has put something there
      return {};
    case Did::kFile:
      site_.say(fmt::format("remove  {}", step.what));
      fs::remove(path, error);
      if (error) return failure(fmt::format("cannot remove {}: {}", step.what, error.message()));
      return {};
    case Did::kAside:
      // Noted before it was renamed: perhaps it never was.
      if (!fs::exists(path + kAside)) return {};
      return move(step.what + kAside, step.what);
    case Did::kMask:
      // Noted before it was made; what is there instead is somebody else's.
      if (fs::read_symlink(path, error) != "/dev/null") return {};
      site_.say(fmt::format("unmask  {}", step.what));
      fs::remove(path, error);
      return {};
    case Did::kStop:
      return run({"systemctl", "start", step.what});
    case Did::kEnable: {
      Result<void> disabled = run({"systemctl", "disable", "--now", step.what});
      // One that has failed would be listed for ever; one that has not makes this fail, rightly.
      (void)run({"systemctl", "reset-failed", step.what});
      return disabled;
    }
    case Did::kReload:
      return run({"systemctl", "daemon-reload"});
  }
  return {};
}

#undef DROVER_STEP

}  // namespace

Result<void> install(const InstallSite& site, const std::vector<SystemdFile>& files,
                     const std::vector<std::string>& units,
                     const std::optional<OllamaUnit>& take_over) {
  if (is_installed(site)) {
    return Error{ErrorKind::kConfig, Origin::kSelf, Retry::kNever,
                 "drover's services are installed already, or half of them after a crash; run "
                 "drover systemd uninstall first (no model is touched by it)"};
  }
  return Installer(site).install(files, units, take_over);
}

Result<void> uninstall(const InstallSite& site) {
  if (!is_installed(site)) {
    return Error{ErrorKind::kConfig, Origin::kSelf, Retry::kNever,
                 fmt::format("drover systemd install has not been used here (there is no {}{})",
                             site.root, kJournalPath)};
  }
  return Installer(site).go_back();
}

bool is_installed(const InstallSite& site) { return Journal(site).exists(); }

}  // namespace drover::keeper
