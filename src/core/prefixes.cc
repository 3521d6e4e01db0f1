#include "core/prefixes.h"

#include <algorithm>

#include "base/rng.h"

namespace drover::core {
namespace {

// The same conversation with another model is another one.
std::uint64_t key_of(std::uint64_t hash, ModelIndex model) {
  return Rng(hash ^ (std::uint64_t{model} << 40U)).next();
}

std::uint64_t number_of(BackendId backend, ModelIndex model) {
  return (std::uint64_t{backend.value} << 32U) | model;
}

}  // namespace

std::uint64_t Prefixes::Found::bytes_at(BackendId backend, std::uint32_t epoch) const {
  for (std::size_t i = 0; i < count_; ++i) {
    if (parts_[i].backend == backend && parts_[i].epoch == epoch) return parts_[i].bytes;
  }
  return 0;
}

// The longest first: whoever has it has what is before it.
Prefixes::Found Prefixes::find(ModelIndex model, const Beginnings& prompt) const {
  Found found;
  const auto ends = prompt.all();
  for (std::size_t i = ends.size(); i-- > 0;) {
    const auto places = by_end_.find(key_of(ends[i].hash, model));
    if (places == by_end_.end()) continue;
    for (std::size_t k = 0; k < places->second.count; ++k) {
      const Place& place = places->second.all[k];
      const Desk& desk = place.shelf->desk;
      if (found.bytes_at(desk.backend, desk.epoch) > 0 || found.count_ == Found::kMost) continue;
      // The message behind a prompt that was answered is that answer.
      const bool further = place.entry->answered && i + 1 < ends.size();
      found.parts_[found.count_++] = {desk.backend, desk.epoch, ends[further ? i + 1 : i].bytes};
    }
  }
  return found;
}

void Prefixes::remember(const Desk& desk, const Beginnings& prompt, double tokens_per_byte,
                        double answer_tokens, double capacity) {
  const auto ends = prompt.all();
  clear_away();
  if (ends.empty()) return;
  const Shelves::iterator shelf = shelf_of(desk);
  // The end first, so that what many prompts begin with is used last and stays longest.
  for (std::size_t i = ends.size(); i-- > 0;) {
    const bool last = i + 1 == ends.size();
    const std::uint64_t before = i == 0 ? 0 : ends[i - 1].bytes;
    double tokens = static_cast<double>(ends[i].bytes - before) * tokens_per_byte;
    if (i > 0 && is_answered(shelf, key_of(ends[i - 1].hash, desk.model))) tokens = 0;  // counted
    if (last) tokens += answer_tokens;
    use(shelf, key_of(ends[i].hash, desk.model), tokens, last);
  }
  while (!shelf->entries.empty() &&
         (shelf->tokens > capacity || shelf->entries.size() > kMostOfDesk)) {
    drop_last(shelf);
  }
  while (size_ > kMostEnds) {
    const Shelves::iterator oldest = std::prev(shelves_.end());
    if (!oldest->entries.empty()) drop_last(oldest);
    if (!oldest->entries.empty()) continue;
    by_desk_.erase(number_of(oldest->desk.backend, oldest->desk.model));
    shelves_.erase(oldest);
  }
}

Prefixes::Shelves::iterator Prefixes::shelf_of(const Desk& desk) {
  const auto [found, is_new] = by_desk_.try_emplace(number_of(desk.backend, desk.model));
  if (is_new) {
    found->second = shelves_.insert(shelves_.begin(), Shelf{desk, 0, {}});
  } else {
    shelves_.splice(shelves_.begin(), shelves_, found->second);
  }
  if (found->second->desk.epoch != desk.epoch) {
    cleared_.splice(cleared_.end(), shelves_, found->second);
    found->second = shelves_.insert(shelves_.begin(), Shelf{desk, 0, {}});
  }
  return found->second;
}

bool Prefixes::is_answered(Shelves::iterator shelf, std::uint64_t key) const {
  const auto found = by_end_.find(key);
  if (found == by_end_.end()) return false;
  for (std::size_t i = 0; i < found->second.count; ++i) {
    const Place& place = found->second.all[i];
    if (place.shelf == shelf) return place.entry->answered;
  }
  return false;
}

// A few of them with each answer, so that no decision has to wait for thousands.
void Prefixes::clear_away() {
  constexpr int kAtOnce = 32;
  for (int i = 0; i < kAtOnce && !cleared_.empty(); ++i) {
    const Shelves::iterator shelf = cleared_.begin();
    if (shelf->entries.empty()) {
      cleared_.erase(shelf);
    } else {
      drop_last(shelf);
    }
  }
}

void Prefixes::use(Shelves::iterator shelf, std::uint64_t key, double tokens, bool answered) {
  Places& places = by_end_[key];
  for (std::size_t i = 0; i < places.count; ++i) {
    const Place& place = places.all[i];
    if (place.shelf != shelf) continue;
    shelf->entries.splice(shelf->entries.begin(), shelf->entries, place.entry);
    place.entry->answered |= answered;
    return;
  }
  if (places.count == kCopies) {
    const Place oldest = places.all.front();
    drop(oldest.shelf, oldest.entry);
    return use(shelf, key, tokens, answered);
  }
  shelf->entries.push_front({key, tokens, answered});
  shelf->tokens += tokens;
  ++size_;
  places.all[places.count++] = {shelf, shelf->entries.begin()};
}

void Prefixes::drop_last(Shelves::iterator shelf) { drop(shelf, std::prev(shelf->entries.end())); }

void Prefixes::drop(Shelves::iterator shelf, std::list<Entry>::iterator entry) {
  const auto found = by_end_.find(entry->key);
  Places& places = found->second;
  const auto end = places.all.begin() + static_cast<std::ptrdiff_t>(places.count);
  const auto place =
      std::find_if(places.all.begin(), end, [&](const Place& each) { return each.entry == entry; });
  std::move(place + 1, end, place);
  if (--places.count == 0) by_end_.erase(found);
  shelf->tokens -= entry->tokens;
  shelf->entries.erase(entry);
  --size_;
}

}  // namespace drover::core
