#pragma once
// Memory for coroutine frames. A request has some twenty, of few sizes, again and again: each
// thread keeps those that have just ended for the next ones, a free list for each size.

#include <cstddef>

namespace drover::net {

// As operator new and operator delete with a size; from any thread, and a frame may end on another
// thread than it began on.
void* allocate_frame(std::size_t bytes);
void release_frame(void* frame, std::size_t bytes) noexcept;

}  // namespace drover::net
