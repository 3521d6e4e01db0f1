#include "sim/host.h"

#include <algorithm>

namespace drover::sim {
namespace {

constexpr double kNothing = 1e-8;  // gigabytes: less than what is read in a nanosecond, and more
                                   // than what rounding leaves

}  // namespace

bool Host::in_memory(ModelIndex model) const {
  return std::ranges::find(cache_, model) != cache_.end();
}

void Host::used(ModelIndex model) {
  std::erase(cache_, model);
  cache_.push_front(model);
  double sum = 0;
  for (auto each = cache_.begin(); each != cache_.end(); ++each) {
    sum += fleet_.models[*each].file_gb;
    if (sum <= fleet_.page_cache_gb) continue;
    cache_.erase(each, cache_.end());
    return;
  }
}

void Host::begin(InstanceIndex instance, double gigabytes, Instant now) {
  flow(now);
  reads_.push_back({instance, gigabytes});
}

void Host::abort(InstanceIndex instance, Instant now) {
  flow(now);
  std::erase_if(reads_, [&](const Read& read) { return read.instance == instance; });
}

Instant Host::next_due() const {
  if (reads_.empty()) return kNever;
  const double least = std::ranges::min(reads_, {}, &Read::left_gb).left_gb;
  const double share = fleet_.disk_gb_s / static_cast<double>(reads_.size());
  return flowed_ + seconds_of(std::max(0.0, least) / share) + Duration(1);
}

std::vector<InstanceIndex> Host::finished(Instant now) {
  flow(now);
  std::vector<InstanceIndex> done;
  for (const Read& read : reads_) {
    if (read.left_gb <= kNothing) done.push_back(read.instance);
  }
  std::erase_if(reads_, [](const Read& read) { return read.left_gb <= kNothing; });
  return done;
}

void Host::flow(Instant now) {
  if (!reads_.empty()) {
    const double share = fleet_.disk_gb_s / static_cast<double>(reads_.size());
    for (Read& read : reads_) read.left_gb -= share * to_seconds(now - flowed_);
  }
  flowed_ = now;
}

}  // namespace drover::sim
