#pragma once
// Variants: with which load-time options each model is loaded where, as far as drover knows, and
// with which a request is sent on.
//
// Ollama loads a model anew, for everybody, when a request names another context length than the
// one it is loaded with. Two clients that disagree make it load for ever. So the options belong to
// what is loaded, not to who asks: a context that is large enough is kept, and one that is too
// small grows to the next of a few steps, once.
//
// A runner that was loaded without such options is what instances do by themselves; only the others
// are remembered, so a fleet whose clients name no options pays nothing. What others than drover
// load is seen in /api/ps as a context length without a cause, and taken for the instance's own.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ask.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "core/fleet.h"

namespace drover::core {

// What becomes of load-time options that a client names.
enum class OptionsRule : std::uint8_t {
  kNormalise,  // they follow what is loaded
  kPass,       // they are sent on
  kRefuse,     // the request is answered 400
};

struct VariantRules {
  OptionsRule rule = OptionsRule::kNormalise;
  // Contexts that models are loaded with, ascending. Each is twice the one before, so a client that
  // grows causes few loads and wastes less than half of the memory. The last one is the most that
  // any client gets. Not empty.
  std::vector<std::uint64_t> steps = {4096, 8192, 16384, 32768, 65536, 131072, 262144};
  std::unordered_map<ModelName, OptionsRule> models;  // instead of `rule`
};

// What the options of a request shall say where it goes.
struct VariantOrder {
  enum class NumCtx : std::uint8_t { kAsSent, kLeftOut, kSet };
  NumCtx num_ctx = NumCtx::kAsSent;
  bool others_left_out = false;
  std::uint64_t tokens = 0;  // with kSet
  bool is_trivial() const { return num_ctx == NumCtx::kAsSent && !others_left_out; }
  friend bool operator==(const VariantOrder&, const VariantOrder&) = default;
};

// A request makes the instance load a model anew that is loaded there.
struct Reload {
  enum class Cause : std::uint8_t {
    kNumCtx,   // another context
    kDefault,  // none, where one was named before
    kOther,    // another load-time option
  };
  Cause cause = Cause::kNumCtx;
  std::uint64_t from = 0;  // contexts in tokens; 0: the instance's own, not known
  std::uint64_t to = 0;
  friend bool operator==(const Reload&, const Reload&) = default;
};
std::string_view to_string(Reload::Cause cause);  // "num_ctx", "default", "other"

class Variants {
 public:
  static constexpr std::size_t kMaxKnown = 4096;  // (instance, model)

  explicit Variants(VariantRules rules) : rules_(std::move(rules)) {}

  // Error kMalformed: the model's rule refuses what the request names.
  Result<void> check(const Ask& ask) const;

  // What is loaded there, under the name by which /api/ps lists it.
  struct Seat {
    BackendId backend;
    const ModelName& model;
    bool in_use = false;        // requests of it are under way there
    std::uint64_t context = 0;  // as listed; 0: not listed
  };
  // False: it names no options, and nothing is loaded with any. So it goes on as it was sent.
  bool concern(const Ask& ask) const;
  // Nothing of the request would have to be loaded.
  bool fits(const Seat& seat, const Ask& ask) const;

  struct Choice {
    VariantOrder order;
    std::optional<Reload> reload;
    std::optional<std::uint64_t> num_ctx;  // as it will be sent
  };
  // The request goes there; what it causes is taken for done.
  Choice granted(const Seat& seat, const Ask& ask, Instant now);

  // What /api/ps lists. `in_use` tells of a model that is not listed whether it is being loaded.
  void looked(BackendId backend, const Residency& residency,
              const std::function<bool(const ModelName&)>& in_use, Instant now);
  void loaded_without_options(BackendId backend, const ModelName& model);
  void emptied(BackendId backend);  // its process is another one

 private:
  using Key = std::pair<std::uint32_t, ModelName>;
  struct Special {  // loaded with options
    std::optional<std::uint64_t> num_ctx;
    std::uint32_t others = 0;
    Instant used{};
  };
  OptionsRule rule_of(const ModelName& model) const;
  std::uint64_t step_for(std::uint64_t tokens) const;
  std::uint64_t wanted_context(const Ask& ask, std::uint64_t own) const;
  const Special* special(const Key& key) const;
  std::uint64_t own_context(const Key& key, const Special* special, const Seat& seat) const;
  VariantOrder follow(const Special* special, std::uint64_t own, const Ask& ask) const;

  VariantRules rules_;
  std::map<Key, Special> special_;
  std::map<Key, std::uint64_t> own_;  // contexts that instances chose themselves
};

}  // namespace drover::core
