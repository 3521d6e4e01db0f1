#pragma once
// PrefixStore: which beginnings of prompts one loaded model still has computed: in its slots and in
// llama.cpp's cache in host memory. The conversation used longest ago is forgotten first, counted
// in tokens. Gone with the model.

#include <cstdint>
#include <list>
#include <unordered_map>

#include "sim/workload.h"

namespace drover::sim {

class PrefixStore {
 public:
  explicit PrefixStore(double capacity_tokens) : capacity_(capacity_tokens) {}

  // How much of the job's prompt need not be computed. The last token always is.
  std::uint32_t cached(const Job& job) const;
  void remember(const Job& job);  // answered: prompt and answer are kept
  double tokens() const { return tokens_; }
  double capacity() const { return capacity_; }

 private:
  struct Entry {
    std::uint32_t session = 0;
    std::uint32_t tokens = 0;
    std::uint32_t shared = 0;
  };
  void forget(std::list<Entry>::iterator entry);

  double capacity_;
  double tokens_ = 0;
  std::uint32_t sharing_ = 0;  // entries that begin with the shared prompt
  std::list<Entry> entries_;   // used last first
  std::unordered_map<std::uint32_t, std::list<Entry>::iterator> by_session_;
};

}  // namespace drover::sim
