#pragma once
// FlatMap: a hash table by Id in one piece of memory, for what every request enters and leaves. A
// node of std::unordered_map costs an allocation for each of them, which is most of what a look-up
// and an entry cost together.
//
// Ids are counted up from one, so zero marks a free place. Linear probing over a hash that keeps
// neighbours by number apart: next to each other they would be one run, all of which every look-up
// of one that is gone and every removal walk through. What follows a removed entry moves up, so
// nothing is left behind by those that have gone. The order is that of the hashes: no decision may
// depend on it. Pointers live until the next put() or erase().

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/check.h"

namespace drover {

template <class Key, class Value>
class FlatMap {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Null: it is not there.
  Value* find(Key key) {
    const std::size_t i = index_of(key);
    return i == kNowhere ? nullptr : &slots_[i].value;
  }
  bool contains(Key key) const { return index_of(key) != kNowhere; }

  // Preconditions: a key other than zero, which is not there.
  Value& put(Key key, Value value) {
    DROVER_ASSERT(key.value != 0);
    if ((size_ + 1) * 4 > slots_.size() * 3) grow();
    ++size_;
    return place(key, std::move(value));
  }

  // False: it was not there.
  bool erase(Key key) {
    std::size_t hole = index_of(key);
    if (hole == kNowhere) return false;
    --size_;
    for (std::size_t i = after(hole); slots_[i].key.value != 0; i = after(i)) {
      // It may move up, unless that would put it before the place where its search begins.
      const std::size_t from_home = (i - home(slots_[i].key)) & mask();
      if (from_home < ((i - hole) & mask())) continue;
      slots_[hole] = std::move(slots_[i]);
      hole = i;
    }
    slots_[hole] = Slot{};
    return true;
  }

  void clear() {
    slots_.clear();
    size_ = 0;
  }

  // In no particular order.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const Slot& slot : slots_) {
      if (slot.key.value != 0) visit(slot.key, slot.value);
    }
  }

 private:
  struct Slot {
    Key key{};
    Value value{};
  };

  static constexpr std::size_t kNowhere = SIZE_MAX;

  std::size_t index_of(Key key) const {
    if (slots_.empty()) return kNowhere;
    for (std::size_t i = home(key); slots_[i].key.value != 0; i = after(i)) {
      if (slots_[i].key == key) return i;
    }
    return kNowhere;
  }
  std::size_t mask() const { return slots_.size() - 1; }
  std::size_t after(std::size_t i) const { return (i + 1) & mask(); }
  // Fibonacci hashing (Knuth, TAOCP 6.4): the uppermost bits of the product are spread evenly for
  // numbers that follow one another.
  std::size_t home(Key key) const {
    return static_cast<std::size_t>((std::uint64_t{key.value} * 0x9E3779B97F4A7C15) >> shift_);
  }

  Value& place(Key key, Value value) {
    std::size_t i = home(key);
    while (slots_[i].key.value != 0) i = after(i);
    slots_[i] = Slot{key, std::move(value)};
    return slots_[i].value;
  }

  void grow() {
    std::vector<Slot> old = std::move(slots_);
    slots_ = std::vector<Slot>(old.empty() ? 8 : old.size() * 2);
    shift_ = 64 - std::countr_zero(slots_.size());
    for (Slot& slot : old) {
      if (slot.key.value != 0) place(slot.key, std::move(slot.value));
    }
  }

  std::vector<Slot> slots_;  // as many as a power of two, at most three quarters in use
  std::size_t size_ = 0;
  int shift_ = 64;  // of the product: what is left counts slots; set with them
};

}  // namespace drover
