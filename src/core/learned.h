#pragma once
// Learned: what the fleet has shown so far, as a plain value, so that it outlives the scheduler
// that learned it. The waiter of estimates.h writes his notebook before he goes home.
//
// Instances are named by what computes there (the UUIDs of their devices, else their address) and
// models by their weights: whoever comes back with another GPU or another digest starts anew.
// What is of the moment is not in it: who waits, what is loaded, who asked how often lately.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/fleet.h"

namespace drover::core {

// Sums of a Line (estimates.h), of samples that fade. All zero: nothing learned.
struct LearnedLine {
  double n = 0, x = 0, xx = 0, y = 0, xy = 0;
  friend bool operator==(const LearnedLine&, const LearnedLine&) = default;
};
// How many times the constant something takes, from so many samples.
struct LearnedFactor {
  double mean = 1, samples = 0;
  friend bool operator==(const LearnedFactor&, const LearnedFactor&) = default;
};
struct LearnedSpeed {
  LearnedFactor prefill, step;
  friend bool operator==(const LearnedSpeed&, const LearnedSpeed&) = default;
};
// Counts of answers by length; see Lengths.
struct LearnedLengths {
  std::array<float, 20> counts{};
  double samples = 0;
  friend bool operator==(const LearnedLengths&, const LearnedLengths&) = default;
};

struct LearnedPair {
  std::string instance;
  LearnedLine prefill, step;
  std::uint32_t slots = 0;  // 0: as configured
  std::uint32_t streak_to_raise = 0;
  friend bool operator==(const LearnedPair&, const LearnedPair&) = default;
};
struct LearnedModel {
  std::string key;   // its digest where that is known, else its name
  std::string name;  // canonical
  double bytes_per_token = 0;
  double prompt_tokens = 0;  // of a usual request
  LearnedSpeed speed;
  LearnedLengths lengths;
  std::vector<LearnedPair> at;
  friend bool operator==(const LearnedModel&, const LearnedModel&) = default;
};
struct LearnedInstance {
  std::string instance;
  LearnedSpeed speed;
  LearnedLine loads;
  friend bool operator==(const LearnedInstance&, const LearnedInstance&) = default;
};
struct LearnedSize {  // of a model in memory, when it was loaded last
  std::string instance;
  std::string model;  // canonical
  std::uint64_t bytes = 0;
  friend bool operator==(const LearnedSize&, const LearnedSize&) = default;
};

struct Learned {
  LearnedSpeed speed;  // of the fleet
  LearnedLine loads;
  LearnedLengths lengths;
  std::vector<LearnedInstance> instances;
  std::vector<LearnedModel> models;
  std::vector<LearnedSize> sizes;
  friend bool operator==(const Learned&, const Learned&) = default;
};

// How Learned calls the instance.
std::string learned_name(const BackendSpec& spec);

}  // namespace drover::core
