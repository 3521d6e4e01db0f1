#pragma once
// Estimates: how long things take here, learned from every answer.
//
// Picture a waiter who has never seen this kitchen. From the size of a dish he has an idea; after
// the first plates he knows this cook; after ten of the same he knows this dish of this cook. So
// each pair of instance and model has its own straight lines (Line), and where a pair has not
// shown much, they begin as the model's size times what the instance has shown with other models,
// times what the model has shown elsewhere, times constants.
//
//   reading a prompt   base + per token * tokens
//   writing a token    base + per neighbour * other requests of the model that write meanwhile
//   loading            base + per gigabyte * size of the file (one line for each instance)
//
// All are seconds of a GPU that works for this model alone: whoever asks multiplies by the number
// of models that compute there at once, and samples are divided by it. Answers' lengths are kept as
// a distribution for each model, because who has written long will write on for long.
//
// Every table is bounded: instances times ModelTable::kMaxModels.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/learned.h"
#include "core/model_table.h"

namespace drover::core {

struct Pair {
  BackendId backend;
  ModelIndex model = 0;
};

// y = base + slope * x from samples that fade, held up by a prior where there are few.
class Line {
 public:
  struct Shape {
    double base = 0;
    double slope = 0;
    double at(double x) const { return base + slope * x; }
  };
  Line() = default;
  // Sums that no samples can have are taken as none.
  explicit Line(const LearnedLine& sums);
  const LearnedLine& sums() const { return sums_; }
  void learn(double x, double y);
  // The prior counts as `strength` samples for the base and as many at x = 2 for the slope.
  Shape shape(const Shape& prior, double strength) const;
  double samples() const { return sums_.n; }

 private:
  LearnedLine sums_;
};

// How many tokens answers have: counts over lengths whose steps grow by half.
class Lengths {
 public:
  Lengths() = default;
  explicit Lengths(const LearnedLengths& counts);
  const LearnedLengths& counts() const { return known_; }
  void learn(double tokens);
  double samples() const { return known_.samples; }
  // Tokens of an answer that has not begun. Asked after every answer, so it takes no pass.
  double mean(const Lengths& prior) const;
  // Expected tokens still to come of an answer that has `so_far` and has not ended.
  double remaining(const Lengths& prior, double so_far) const;
  static Lengths usual();  // of a fleet that has shown nothing

 private:
  static constexpr std::size_t kBins = std::tuple_size_v<decltype(LearnedLengths::counts)>;
  double weight_as_prior() const;
  LearnedLengths known_;
  // All samples together, as the bins have them. A notebook need not agree with itself, so what it
  // says of their number is no weight here.
  double weight_ = 0;
  double tokens_ = 0;
};

// What one served request showed. Seconds; zero means "not said".
struct Sample {
  double prompt_tokens = 0;
  double cached_tokens = 0;  // of these, that did not have to be read
  double prompt_bytes = 0;
  double output_tokens = 0;
  double prefill_s = 0;      // by the instance's own account, else what it took to the first byte
  double decode_s = 0;       // from the first token to the last
  double hidden_wait_s = 0;  // that nothing explains: for a slot, behind somebody
  double neighbours = 0;     // others of the model that wrote meanwhile, in the mean
  double models = 1;         // that computed there at once while it wrote, in the mean
  double prefill_models = 1;
  double reading_share = 1;  // of the time that its prompt took; others wrote in the rest
  std::uint32_t rank = 1;    // requests of the model there when it came, itself included
};

class Estimates {
 public:
  // Requests of one model that an instance computes at once: what is believed before anything is
  // learned, and the most that is ever tried.
  struct SlotRule {
    std::uint32_t first = 4;
    std::uint32_t most = 32;  // equal to `first`: it was told, and nothing remembered changes it
  };
  explicit Estimates(std::vector<SlotRule> slots);  // by BackendId

  // Before anything else about the model; again whenever its size is better known. Bytes of its
  // file; 0: not known.
  void sized(ModelIndex model, std::uint64_t bytes);
  void forget(ModelIndex model);

  void learn(Pair pair, const Sample& sample);
  // A load that nothing else was in the way of, by its whole time.
  void learn_load(Pair pair, double seconds);

  // --- for a notebook; instances by their learned_name(), in the order of BackendIds ---
  void write_down(Learned& to, const std::vector<std::string>& instances) const;
  // False: nothing was learned about the model.
  bool write_down(LearnedModel& to, ModelIndex model,
                  const std::vector<std::string>& instances) const;
  // The opposite. Who is not in `instances` is left out. Before anything is learned.
  void remember(const Learned& from, const std::vector<std::string>& instances);
  void remember(const LearnedModel& from, ModelIndex model,
                const std::vector<std::string>& instances);

  double tokens_per_byte(ModelIndex model) const { return 1 / models_[model].bytes_per_token; }
  double prompt_tokens(ModelIndex model, std::uint64_t bytes) const;
  double output_tokens(ModelIndex model) const;
  double remaining_tokens(ModelIndex model, double so_far) const;
  double prefill_s(Pair pair, double tokens) const;
  // What one step takes, by how many requests are computed together.
  struct Steps {
    Line::Shape by_neighbours;
    double seconds(double together) const { return by_neighbours.at(std::max(0.0, together - 1)); }
  };
  Steps steps(Pair pair) const;
  double step_s(Pair pair, double together) const { return steps(pair).seconds(together); }
  double load_s(Pair pair) const;
  std::uint32_t slots(Pair pair) const;
  double file_bytes(ModelIndex model) const { return models_[model].gigabytes * 1e9; }

 private:
  // How many times the constant something is; towards 1 while there are few samples.
  struct Factor : LearnedFactor {
    void learn(double ratio);
    double value(double prior) const { return (prior + mean * samples) / (1 + samples); }
  };
  struct Speed {  // beside the constants
    Factor prefill;
    Factor step;
    LearnedSpeed written() const { return {prefill, step}; }
    void remember(const LearnedSpeed& from) { prefill = {from.prefill}, step = {from.step}; }
  };
  struct Known {  // a pair
    static constexpr std::uint32_t kFirstStreak = 20;
    Line prefill;
    Line step;
    std::uint32_t slots = 0;        // 0: as the instance
    std::uint32_t full_streak = 0;  // answers with all slots busy and no hidden wait
    std::uint32_t streak_to_raise = kFirstStreak;
    std::uint32_t streak_to_return = kFirstStreak;
    std::uint32_t proven = 0;  // the most that served such a streak
  };
  struct ModelData {
    double gigabytes = 5;
    Speed speed;
    Lengths lengths;
    double mean_output = 0;  // of `lengths`; 0: nothing learned
    double bytes_per_token = 4;
    std::vector<Known> at;  // by BackendId
  };
  double factor(const Pair& pair, Factor Speed::* kind) const;
  Line::Shape prefill_prior(const Pair& pair) const;
  Line::Shape step_prior(const Pair& pair) const;
  const Known& known(const Pair& pair) const;
  void learn_slots(Known& known, const Pair& pair, const Sample& sample);

  std::vector<SlotRule> slots_;
  std::vector<ModelData> models_;
  std::vector<Speed> instances_;
  Speed fleet_;
  std::vector<Line> loads_;  // by BackendId
  Line fleet_loads_;
  Lengths fleet_lengths_ = Lengths::usual();
};

}  // namespace drover::core
