#include "sim/prefix_store.h"

#include <algorithm>

namespace drover::sim {

std::uint32_t PrefixStore::cached(const Job& job) const {
  const std::uint32_t most = job.prompt - 1;
  std::uint32_t found = sharing_ > 0 ? job.shared : 0;
  const auto own = by_session_.find(job.session);
  if (own != by_session_.end()) found = std::max(found, std::min(own->second->tokens, job.history));
  return std::min(found, most);
}

void PrefixStore::remember(const Job& job) {
  const auto own = by_session_.find(job.session);
  if (own != by_session_.end()) forget(own->second);
  const std::uint32_t tokens = job.prompt + job.output;
  entries_.push_front({job.session, tokens, job.shared});
  by_session_.emplace(job.session, entries_.begin());
  tokens_ += tokens;
  if (job.shared > 0) ++sharing_;
  while (tokens_ > capacity_ && !entries_.empty()) forget(std::prev(entries_.end()));
}

void PrefixStore::forget(std::list<Entry>::iterator entry) {
  tokens_ -= entry->tokens;
  if (entry->shared > 0) --sharing_;
  by_session_.erase(entry->session);
  entries_.erase(entry);
}

}  // namespace drover::sim
