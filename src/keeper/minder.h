#pragma once
// The minder: a small process between the keeper and one `ollama serve`, so that no runner ever
// outlives its server and keeps a GPU's memory.
//
// Ollama starts its runners without a parent-death signal: when it is killed, they live on. The
// minder is the sub-reaper of the whole tree, so whoever loses its parent becomes the minder's
// child, and nobody is left when the minder is done. Picture a kindergarten teacher on an outing:
// the children may run about, but the bus does not leave before all of them are counted.
//
//   who dies          what happens
//   ollama            the minder kills what is left of its tree, then ends with ollama's status
//   the keeper        the lifeline (standard input) ends: the tree is killed at once
//   the minder        ollama is killed with it (parent-death signal); its runners become children
//                     of the keeper, a sub-reaper too, which kills whom it did not start
//   keeper and minder ollama is killed; runners carry the keeper's mark (process_tree.h) and are
//                     killed by the next keeper before it starts anything
//
// It is the same program under another verb, needs no memory to speak of, and has no threads.

#include <string>
#include <vector>

#include "base/time.h"

namespace drover::keeper {

inline constexpr const char* kMinderVerb = "minder";

struct MinderCommand {
  std::string drover;                // the program that it is
  Duration grace{};                  // between SIGTERM and the end of the tree
  std::string user;                  // whom the command runs as; empty: as the minder
  std::vector<std::string> command;  // with its arguments
};
// As a command line: drover minder GRACE_MS USER COMMAND…
std::vector<std::string> minder_arguments(const MinderCommand& command);

// The program: `arguments` are those after the verb. SIGTERM is handed on to the command, which has
// the grace to end; then the tree is killed. Returns the exit code: the command's own, 128 and the
// number of the signal that killed it, 127 when it could not be started.
int run_minder(const std::vector<std::string>& arguments);

}  // namespace drover::keeper
