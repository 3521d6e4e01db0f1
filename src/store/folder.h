#pragma once
// Folder: the few files that outlive a restart. Each is a sealed envelope: on its first line stand
// what it is, the version of its contents, their size and a checksum, so that whoever reads it
// knows whether it is whole, or somebody else's. It is replaced as a whole or not at all: written
// beside the old one, forced to the disk, and then renamed.
//
// One process writes. Whoever comes second is told so, and reads only.

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace drover::store {

// What an envelope may hold.
struct Kind {
  std::string_view name;      // of the file, too: a word
  std::uint32_t version = 1;  // of the contents: other versions are not read
  std::size_t max_bytes = 0;  // of the contents
};

class Folder {
 public:
  // Makes the folder and its parents where they are missing. Errors (kSystem): it cannot be made or
  // entered; another process writes there.
  static Result<Folder> open(const std::string& path);
  Folder(Folder&& other) noexcept;
  Folder& operator=(Folder&& other) noexcept;
  ~Folder();

  // Nothing: there is no such file. Errors (kSystem), each naming the file and what is wrong: it
  // cannot be read, is damaged, too large, of another version or of somebody else.
  Result<std::optional<std::string>> read(const Kind& kind) const;
  // Out of the way of the next write(), under a name that ends in ".aside". Its new name; none: it
  // could not be moved. One is kept of each kind.
  std::optional<std::string> set_aside(const Kind& kind) const;
  // Blocks until it is on the disk; any thread, one write after the other. Errors (kSystem): the
  // old file is as it was, and nothing else is left behind. Precondition: `contents` are no larger
  // than the kind allows.
  Result<void> write(const Kind& kind, std::string_view contents) const;

  const std::string& path() const { return path_; }

 private:
  Folder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::string file(const Kind& kind) const { return path_ + "/" + std::string(kind.name); }

  std::string path_;
  int lock_ = -1;  // held as long as this lives
  std::unique_ptr<std::mutex> writing_ = std::make_unique<std::mutex>();
};

}  // namespace drover::store
