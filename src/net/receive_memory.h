#pragma once
// ReceiveMemory: where a loop has the kernel copy to what has arrived. It begins with a line of the
// cache: processors of AMD (Zen 3 and 4) copy a kilobyte several times slower to memory that does
// not, and what malloc gives begins sixteen bytes behind one.

#include <cstddef>
#include <memory>
#include <span>

namespace drover::net {

class ReceiveMemory {
 public:
  static constexpr std::size_t kLineBytes = 64;

  // Not cleared. Precondition: `bytes` are whole lines.
  explicit ReceiveMemory(std::size_t bytes)
      : lines_(std::make_unique_for_overwrite<Line[]>(bytes / kLineBytes)), bytes_(bytes) {}

  std::span<char> span() const {
    return {static_cast<char*>(static_cast<void*>(lines_.get())), bytes_};
  }

 private:
  struct alignas(kLineBytes) Line {
    char bytes[kLineBytes];
  };
  std::unique_ptr<Line[]> lines_;
  std::size_t bytes_;
};

}  // namespace drover::net
