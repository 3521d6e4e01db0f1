#pragma once
// FlatMap: a hash table by Id without nodes, for what every request enters and leaves. A node of
// std::unordered_map costs an allocation for each of them, which is most of what a look-up and an
// entry cost together.
//
// The entries lie behind one another without gaps, and the table beside them holds their numbers:
// what has to stay partly free for the search to be short is four bytes wide, however large the
// values are. Linear probing over a hash that keeps neighbours by number apart: next to each other
// they would be one run, all of which every look-up of one that is gone and every removal walk
// through. What follows a removed number moves up, so nothing is left behind by those that have
// gone; into the gap of a removed entry comes the last one. No decision may depend on the order.
// Pointers live until the next put() or erase().

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "base/check.h"

namespace drover {

template <class Key, class Value>
class FlatMap {
 public:
  std::size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }

  // Null: it is not there.
  Value* find(Key key) {
    const std::size_t place = place_of(key);
    return place == kNowhere ? nullptr : &entry_at(place).value;
  }
  bool contains(Key key) const { return place_of(key) != kNowhere; }

  // Precondition: it is not there.
  Value& put(Key key, Value value) {
    DROVER_ASSERT(entries_.size() < std::numeric_limits<Number>::max());
    if ((entries_.size() + 1) * 4 > table_.size() * 3) grow();
    entries_.push_back(Entry{key, std::move(value)});
    enter(key, static_cast<Number>(entries_.size()));
    return entries_.back().value;
  }

  // False: it was not there.
  bool erase(Key key) {
    const std::size_t place = place_of(key);
    if (place == kNowhere) return false;
    const Number number = table_[place];
    close(place);
    Entry& last = entries_.back();
    if (number != entries_.size()) {
      table_[place_of(last.key)] = number;
      entries_[number - 1] = std::move(last);
    }
    entries_.pop_back();
    return true;
  }

  void clear() {
    entries_.clear();
    table_.clear();
  }

  // In no particular order.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const Entry& entry : entries_) visit(entry.key, entry.value);
  }

 private:
  struct Entry {
    Key key{};
    Value value{};
  };
  using Number = std::uint32_t;  // of an entry, from one; zero: a free place

  static constexpr std::size_t kNowhere = SIZE_MAX;

  Entry& entry_at(std::size_t place) { return entries_[table_[place] - 1]; }
  Key key_at(std::size_t place) const { return entries_[table_[place] - 1].key; }

  std::size_t place_of(Key key) const {
    if (table_.empty()) return kNowhere;
    for (std::size_t place = home(key); table_[place] != 0; place = after(place)) {
      if (key_at(place) == key) return place;
    }
    return kNowhere;
  }
  std::size_t mask() const { return table_.size() - 1; }
  std::size_t after(std::size_t place) const { return (place + 1) & mask(); }
  // Fibonacci hashing (Knuth, TAOCP 6.4): the uppermost bits of the product are spread evenly for
  // numbers that follow one another.
  std::size_t home(Key key) const {
    return static_cast<std::size_t>((std::uint64_t{key.value} * 0x9E3779B97F4A7C15) >> shift_);
  }

  void enter(Key key, Number number) {
    std::size_t place = home(key);
    while (table_[place] != 0) place = after(place);
    table_[place] = number;
  }

  void close(std::size_t hole) {
    for (std::size_t place = after(hole); table_[place] != 0; place = after(place)) {
      // It may move up, unless that would put it before the place where its search begins.
      const std::size_t from_home = (place - home(key_at(place))) & mask();
      if (from_home < ((place - hole) & mask())) continue;
      table_[hole] = table_[place];
      hole = place;
    }
    table_[hole] = 0;
  }

  void grow() {
    table_.assign(table_.empty() ? 8 : table_.size() * 2, 0);
    shift_ = 64 - std::countr_zero(table_.size());
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      enter(entries_[i].key, static_cast<Number>(i + 1));
    }
  }

  std::vector<Entry> entries_;
  std::vector<Number> table_;  // as many as a power of two, at most three quarters in use
  int shift_ = 64;             // of the product: what is left counts places; set with them
};

}  // namespace drover
