#pragma once
// NamesInUse: small numbers for the names of models that requests under way have. Thousands of
// requests share a few names, and each would keep a string of its own.
//
// Searched one after the other: as many as models that are computing at this moment.

#include <cstdint>
#include <vector>

#include "base/check.h"
#include "base/model_name.h"

namespace drover::core {

// Good until it is released as often as it was taken.
using NameIndex = std::uint32_t;

class NamesInUse {
 public:
  NameIndex take(const ModelName& name) {
    const auto count = static_cast<NameIndex>(rows_.size());
    NameIndex free = count;
    for (NameIndex i = 0; i < count; ++i) {
      Row& row = rows_[i];
      if (row.users == 0) {
        free = i;
      } else if (row.name == name) {
        ++row.users;
        return i;
      }
    }
    if (free == count) rows_.emplace_back();
    rows_[free] = Row{name, 1};
    return free;
  }

  void release(NameIndex index) {
    DROVER_ASSERT(index < rows_.size() && rows_[index].users > 0);
    --rows_[index].users;
    while (!rows_.empty() && rows_.back().users == 0) rows_.pop_back();
  }

  // Valid until the next take() or release(). Precondition: it is in use.
  const ModelName& name(NameIndex index) const {
    DROVER_ASSERT(index < rows_.size() && rows_[index].users > 0);
    return rows_[index].name;
  }
  bool empty() const { return rows_.empty(); }

 private:
  struct Row {
    ModelName name;
    std::uint32_t users = 0;
  };
  std::vector<Row> rows_;
};

}  // namespace drover::core
