#pragma once
// The progress lines of /api/pull, push and create: read from one store, and made one story of
// several. Picture three deliveries of the same boxes: the customer hears of each box once, how
// much of it has arrived in all three houses together, and of a phase once the last house is there.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace drover::wire {

// {"status":…,"digest":…,"total":…,"completed":…}, or {"error":…}; absent ones are empty or zero.
struct ProgressLine {
  std::string status;
  std::string digest;
  std::uint64_t total = 0;
  std::uint64_t completed = 0;
  std::string error;  // at most 1 KiB of it
};
// Errors (kUpstream): not a JSON object.
Result<ProgressLine> read_progress(std::string_view line);

// Of a line that ProgressMerge made of several stores: what of the part has arrived in each, by
// name. Empty for every other line.
std::vector<std::pair<std::string, std::uint64_t>> read_shares(std::string_view line);

// What the lines of several stores come to. Numbers only grow: of a part, `completed` is the sum of
// what has arrived in each store, `total` the part's size times the stores. A line without a digest
// is told when the last store that is still at work has said it. Of a single store every line
// passes as it is.
class ProgressMerge {
 public:
  // A line for clients, without its line end. Of two with the same key the later one is enough.
  struct Told {
    std::string key;  // the digest; empty: each counts
    std::string line;
  };
  explicit ProgressMerge(std::size_t stores) : stores_(stores) {}
  // Lines of parts tell what has arrived in which store, too, in a member "drover_stores" that
  // clients of Ollama do not know and pass over. Of a single store there is no such line.
  explicit ProgressMerge(std::vector<std::string> names)
      : stores_(names.size()), names_(std::move(names)) {}

  // A status that clients hear before any store has said it.
  Told announce(std::string_view status);
  // `raw` is the line that `line` was read from; not the one of success, and not an error.
  void take(std::size_t store, const ProgressLine& line, std::string_view raw,
            std::vector<Told>& out);
  // The store is done. Of what it never spoke of it needs nothing any more.
  enum class How : std::uint8_t { kWell, kFailed };
  void ended(std::size_t store, How how, std::vector<Told>& out);
  // What somebody hears who joins now.
  std::vector<Told> so_far() const;

 private:
  // Of one store: it is out of the count once it has failed.
  enum class State : std::uint8_t { kWorks, kWell, kFailed };
  struct Part {
    std::string status;
    std::uint64_t total = 0;
    std::vector<std::uint64_t> completed;  // by store
    std::string told;                      // the last line
  };
  struct Phase {
    std::vector<std::uint32_t> said;  // how often, by store
    std::uint32_t told = 0;
  };
  // Beyond these a store is talking nonsense, and is not repeated.
  static constexpr std::size_t kMaxParts = 1000;
  static constexpr std::uint64_t kMaxPart = 1ULL << 50;  // bytes; thousands of them fit in a sum
  static constexpr std::size_t kMaxPhases = 1000;

  void take_part(std::size_t store, const ProgressLine& line, std::vector<Told>& out);
  void take_phase(std::size_t store, const std::string& status, std::vector<Told>& out);
  void tell_part(const std::string& digest, std::vector<Told>& out);
  void tell_phase(const std::string& status, std::vector<Told>& out);
  State state_of(std::size_t store) const {
    return store < states_.size() ? states_[store] : State::kWorks;
  }

  std::string shares(const Part& part) const;

  std::size_t stores_;
  std::vector<std::string> names_;  // empty: they are not told
  std::vector<State> states_;
  std::map<std::string, Part> parts_;
  std::vector<std::string> part_order_;
  std::map<std::string, Phase> phases_;
  std::vector<std::string> phase_order_;
  std::string announced_;
  std::string last_phase_;
};

}  // namespace drover::wire
