#pragma once
// The ollama.service that Ollama's installer leaves on a machine, as systemd describes it: who it
// runs as, with which variables, and whether it is on. What drover takes over is read here, from
// systemd and not from the unit's text: drop-ins and defaults are then already counted in.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "keeper/systemd_units.h"

namespace drover::keeper {

inline constexpr char kOllamaUnitName[] = "ollama.service";

struct OllamaUnit {
  bool found = false;     // systemd knows the unit
  bool masked = false;    // by somebody else: it cannot start
  bool active = false;    // it runs, or is about to
  std::string unit_file;  // where its text is
  std::string user;       // as written; empty: root
  std::string group;
  std::string program;  // of its ExecStart
  std::vector<Variable> environment;
  std::string environment_file;  // the first one; empty: none

  // The value of a variable, if it is set.
  std::optional<std::string> variable(std::string_view name) const;
  // Where its clients connect: OLLAMA_HOST as a host and a port, 127.0.0.1:11434 by default.
  std::string address() const;
};

// The question whose answer read_ollama_unit() reads.
std::vector<std::string> ollama_unit_question();

OllamaUnit read_ollama_unit(std::string_view answer);

}  // namespace drover::keeper
