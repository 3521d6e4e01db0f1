#include "net/frame_memory.h"

#include <array>
#include <cstdint>
#include <memory>
#include <new>

namespace drover::net {
namespace {

#ifdef DROVER_SANITIZED
constexpr bool kKept = false;  // a frame that is used after its end shall be found
#else
constexpr bool kKept = true;
#endif

constexpr std::size_t kStep = 16;       // what malloc rounds to
constexpr std::size_t kLargest = 2048;  // the largest that every request has: 1.1 KiB
// Of each size. Enough for the requests that take turns within one turn of a loop; what a burst of
// thousands leaves goes back. Some twenty sizes are in use: at most 1 MiB for each thread.
constexpr std::size_t kMostBytes = 48 * 1024;

struct Ended {  // lies in a frame that nobody uses
  Ended* next;
};
struct FreeList {
  Ended* first = nullptr;
  std::uint32_t count = 0;
};

// Never freed: a thread that has frames ends with the process.
constinit thread_local std::array<FreeList, kLargest / kStep + 1> free_lists{};

constexpr std::size_t index_of(std::size_t bytes) { return (bytes + kStep - 1) / kStep; }

}  // namespace

void* allocate_frame(std::size_t bytes) {
  if (!kKept || bytes > kLargest) return ::operator new(bytes);
  const std::size_t index = index_of(bytes);
  FreeList& list = free_lists[index];
  if (list.first == nullptr) return ::operator new(index * kStep);
  Ended* const frame = list.first;
  list.first = frame->next;
  --list.count;
  return frame;
}

void release_frame(void* frame, std::size_t bytes) noexcept {
  if (!kKept || bytes > kLargest) return ::operator delete(frame);
  const std::size_t index = index_of(bytes);
  FreeList& list = free_lists[index];
  if (list.count * index * kStep >= kMostBytes) return ::operator delete(frame);
  list.first = std::construct_at(static_cast<Ended*>(frame), list.first);
  ++list.count;
}

}  // namespace drover::net
