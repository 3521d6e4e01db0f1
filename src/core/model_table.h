#pragma once
// ModelTable: small numbers for models, so that what is known about a model is found by an index.
// A model is its weights: two names of the same digest are one, as they are one runner in Ollama.
// Bounded: of more than kMaxModels the one asked for longest ago is forgotten and its number given
// away; a client who invents names never gets this far.

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>

#include "base/model_name.h"

namespace drover::core {

// Valid until the model is forgotten: whoever keeps one holds the model (see hold()).
using ModelIndex = std::uint32_t;

class ModelTable {
 public:
  static constexpr std::size_t kMaxModels = 1024;

  struct Entry {
    ModelIndex index = 0;
    bool fresh = false;  // whatever was known under this number is about another model
  };
  // `key`: the digest where it is known, else the name. `name` is what loads and unloads say.
  Entry of(const std::string& key, const ModelName& name);
  const ModelName& name(ModelIndex index) const { return rows_[index].name; }
  const std::string& key(ModelIndex index) const { return rows_[index].key; }
  std::size_t size() const { return rows_.size(); }

  // A held model keeps its number. Precondition of release(): a hold() of it.
  void hold(ModelIndex index) { ++rows_[index].holds; }
  void release(ModelIndex index);

 private:
  struct Row {
    std::string key;
    ModelName name;
    std::uint64_t asked = 0;
    std::uint32_t holds = 0;
  };
  std::deque<Row> rows_;
  std::unordered_map<std::string, ModelIndex> by_key_;
  std::uint64_t asked_ = 0;
};

}  // namespace drover::core
