#pragma once
// Prefixes: which instance still has the beginning of a prompt computed, so that a conversation
// goes on where it was held, and only what is new has to be read.
//
// Picture a library where each reader's desk keeps the books that were opened last. Nobody tells
// which books lie there, but whoever sent the readers remembers, and knows how many a desk can
// hold: what was used longest ago is cleared away first, and everything when the desk is given to
// another.
//
// A desk is a loaded model at an instance: it holds as many tokens as its slots and the cache in
// host memory do. A book is the end of a message (Beginnings): a hash of all before it, so that one
// is there only together with those before. Belief, not knowledge: what is said here only lowers a
// price, and a wrong belief costs a prompt that is read anew.
//
// Bounded: kMostEnds for the fleet, kMostOfDesk for each desk; whoever was used longest ago goes.

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <span>
#include <unordered_map>

#include "base/ask.h"
#include "core/model_table.h"

namespace drover::core {

class Prefixes {
 public:
  static constexpr std::size_t kMostEnds = 131'072;  // about 20 MiB
  static constexpr std::size_t kMostOfDesk = 16'384;

  // A model at an instance; `epoch` counts its loads, so that nothing outlives one.
  struct Desk {
    BackendId backend;
    ModelIndex model = 0;
    std::uint32_t epoch = 0;
  };
  // An answer there has ended. `tokens_per_byte` of the prompt; `answer_tokens` stand behind it.
  // `capacity`: tokens that the desk can hold.
  void remember(const Desk& desk, const Beginnings& prompt, double tokens_per_byte,
                double answer_tokens, double capacity);

  // Of a prompt, by instance: bytes that need not be read.
  class Found {
   public:
    std::uint64_t bytes_at(BackendId backend, std::uint32_t epoch) const;
    struct Part {
      BackendId backend;
      std::uint32_t epoch = 0;
      std::uint64_t bytes = 0;
    };
    std::span<const Part> parts() const { return std::span(parts_).first(count_); }

   private:
    friend class Prefixes;
    static constexpr std::size_t kMost = 8;
    std::array<Part, kMost> parts_{};
    std::size_t count_ = 0;
  };
  Found find(ModelIndex model, const Beginnings& prompt) const;

  std::size_t size() const { return size_; }

 private:
  struct Entry {
    std::uint64_t key = 0;  // of the end, with its model
    double tokens = 0;      // between it and the end before
    bool answered = false;  // a prompt ended there: its answer is there, too
  };
  struct Shelf {
    Desk desk;
    double tokens = 0;
    std::list<Entry> entries;  // used last first
  };
  using Shelves = std::list<Shelf>;  // used last first
  struct Place {
    Shelves::iterator shelf;
    std::list<Entry>::iterator entry;
  };
  // Those that have an end; of more than kCopies the one used longest ago forgets it.
  static constexpr std::size_t kCopies = 4;
  struct Places {
    std::array<Place, kCopies> all;
    std::size_t count = 0;
  };

  Shelves::iterator shelf_of(const Desk& desk);
  void use(Shelves::iterator shelf, std::uint64_t key, double tokens, bool answered);
  bool is_answered(Shelves::iterator shelf, std::uint64_t key) const;
  void clear_away();
  void drop_last(Shelves::iterator shelf);
  void drop(Shelves::iterator shelf, std::list<Entry>::iterator entry);

  Shelves shelves_;
  Shelves cleared_;  // of models that were unloaded since
  std::unordered_map<std::uint64_t, Shelves::iterator> by_desk_;
  std::unordered_map<std::uint64_t, Places> by_end_;
  std::size_t size_ = 0;
};

}  // namespace drover::core
