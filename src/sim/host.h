#pragma once
// Host: the disk and the page cache that the instances of one machine share. Loads that read at the
// same time share the disk's bandwidth; what was read lately is in memory and comes from there.

#include <list>
#include <vector>

#include "sim/workload.h"

namespace drover::sim {

class Host {
 public:
  explicit Host(const Fleet& fleet) : fleet_(fleet) {}

  bool in_memory(ModelIndex model) const;
  void used(ModelIndex model);  // is now the newest in the page cache

  void begin(InstanceIndex instance, double gigabytes, Instant now);
  void abort(InstanceIndex instance, Instant now);
  Instant next_due() const;
  std::vector<InstanceIndex> finished(Instant now);

 private:
  struct Read {
    InstanceIndex instance = 0;
    double left_gb = 0;
  };
  void flow(Instant now);

  const Fleet& fleet_;
  std::vector<Read> reads_;
  Instant flowed_{};
  std::list<ModelIndex> cache_;  // newest first
};

}  // namespace drover::sim
