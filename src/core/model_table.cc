#include "core/model_table.h"

#include <algorithm>

#include "base/check.h"

namespace drover::core {

ModelTable::Entry ModelTable::of(const std::string& key, const ModelName& name) {
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) {
    rows_[found->second].asked = ++asked_;
    return {found->second, false};
  }
  auto index = static_cast<ModelIndex>(rows_.size());
  if (rows_.size() >= kMaxModels) {
    const auto rank = [](const Row& row) { return row.holds > 0 ? UINT64_MAX : row.asked; };
    const auto oldest = std::ranges::min_element(rows_, {}, rank);
    // Held ones are as many as requests wait or run, which has bounds of its own.
    if (oldest->holds == 0) {
      index = static_cast<ModelIndex>(oldest - rows_.begin());
      by_key_.erase(oldest->key);
    }
  }
  if (index == rows_.size()) rows_.emplace_back();
  rows_[index] = {key, name, ++asked_, 0};
  by_key_.emplace(key, index);
  return {index, true};
}

void ModelTable::release(ModelIndex index) {
  DROVER_ASSERT(rows_[index].holds > 0);
  --rows_[index].holds;
}

}  // namespace drover::core
