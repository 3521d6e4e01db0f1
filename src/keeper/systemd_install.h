#pragma once
// Puts the files of systemd_units.h in place and starts the services, and undoes exactly that.
//
// Like a mountaineer who hammers in a piton before each step: a line is written to a journal before
// anything is changed, and says how to go back. Uninstalling walks the journal from its end. So
// does an installation that fails in the middle; one that was cut off by a crash is uninstalled by
// hand.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "keeper/ollama_unit.h"
#include "keeper/systemd_units.h"

namespace drover::keeper {

// Where the journal is, below the root. Not in the gateway's state directory: root obeys this file,
// so nobody else may write it.
inline constexpr char kJournalPath[] = "/var/lib/drover-systemd/journal";

// What the Ollama unit's file is called while it is put aside; systemd reads no such name.
inline constexpr char kAside[] = ".before-drover";

struct InstallSite {
  std::string root;  // before every path; empty: this machine
  // Talks to the people, one line for each step.
  std::function<void(std::string_view line)> say;
  // Runs systemctl and its kin; empty: only files are written.
  std::function<Result<std::string>(const std::vector<std::string>& argv)> run;
};

// Writes `files`, makes the users, stops and masks `take_over` if given, and enables and starts
// `units` in this order. An earlier installation, or a file that is in the way, is an Error before
// anything was changed; after any other failure everything is put back as it was.
Result<void> install(const InstallSite& site, const std::vector<SystemdFile>& files,
                     const std::vector<std::string>& units,
                     const std::optional<OllamaUnit>& take_over);

// Takes everything back that the journal names. Error kConfig: nothing was installed. Steps that
// fail are said and left in the journal, so that it can be called again.
Result<void> uninstall(const InstallSite& site);

// An installation, whole or broken off, is here.
bool is_installed(const InstallSite& site);

}  // namespace drover::keeper
