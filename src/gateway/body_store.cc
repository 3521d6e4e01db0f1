#include "gateway/body_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <utility>

namespace drover::gateway {
namespace {

Error disk_error(const std::string& directory, int code) {
  return {ErrorKind::kUnavailable, Origin::kSelf, Retry::kNever,
          "the request body could not be kept in " + directory + ": " + std::strerror(code)};
}

// A file without a name: gone with its descriptor, whatever happens to the process.
int open_unlinked(const std::string& directory) {
  const int file = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return file;
  // Filesystems without O_TMPFILE (overlayfs of old kernels): make a name and remove it.
  std::string name = directory + "/drover-body-XXXXXX";
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

}  // namespace

BodyStore::BodyStore(std::uint64_t spill_bytes, const std::string& spill_dir, BodyRoom* room)
    : spill_bytes_(spill_bytes), spill_dir_(spill_dir), room_(room) {}

BodyStore::~BodyStore() { release(); }

void BodyStore::release() {
  leave_memory();
  edits_ = {};
  below_ = {};
  if (file_ >= 0) ::close(std::exchange(file_, -1));
}

void BodyStore::leave_memory() {
  std::string().swap(memory_);  // an assignment would keep it
  if (taken_ > 0) room_->give(std::exchange(taken_, 0));
}

void BodyStore::expect(std::uint64_t bytes) {
  const bool large = bytes > spill_bytes_;
  if (large && (room_ == nullptr || !room_->take(bytes))) return;
  if (large) taken_ = bytes;
  memory_.reserve(bytes);
}

Result<void> BodyStore::append(std::string_view piece) {
  received_ += piece.size();
  if (file_ >= 0) return write_file(piece);
  memory_.append(piece);
  if (memory_.size() > std::max(spill_bytes_, taken_)) return spill();
  return {};
}

Result<void> BodyStore::spill() {
  file_ = open_unlinked(spill_dir_);
  if (file_ < 0) return disk_error(spill_dir_, errno);
  Result<void> written = write_file(memory_);
  leave_memory();
  return written;
}

Result<void> BodyStore::write_file(std::string_view piece) {
  while (!piece.empty()) {
    const ssize_t n = ::write(file_, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return disk_error(spill_dir_, errno);
    piece.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

std::uint64_t BodyStore::sent_bytes() const {
  std::uint64_t bytes = received_;
  for (const wire::Edit& edit : edits_) bytes = bytes - edit.length + edit.text.size();
  return bytes;
}

void BodyStore::replace(wire::Edit edit) {
  auto at = edits_.begin();
  // From the edited place to the stored one: what earlier edits added or took away does not count.
  for (; at != edits_.end() && at->offset < edit.offset; ++at) {
    edit.offset = edit.offset + at->length - at->text.size();
  }
  edits_.insert(at, std::move(edit));
}

void BodyStore::overlay(std::vector<wire::Edit> edits) {
  if (!overlaid_ && edits.empty()) return;
  if (!overlaid_) below_ = std::move(edits_);
  overlaid_ = true;
  edits_.clear();
  std::ranges::merge(below_, edits, std::back_inserter(edits_), {}, &wire::Edit::offset,
                     &wire::Edit::offset);
}

Result<std::string_view> BodyStore::read(Cursor& cursor, std::span<char> room) const {
  std::uint64_t stop = received_;
  for (; cursor.edit < edits_.size(); ++cursor.edit) {
    const wire::Edit& edit = edits_[cursor.edit];
    stop = edit.offset;
    if (cursor.offset < stop) break;
    stop = received_;
    cursor.offset += edit.length;
    if (edit.text.empty()) continue;  // it only removes
    ++cursor.edit;
    return std::string_view(edit.text);
  }
  const std::uint64_t left = stop - cursor.offset;
  if (left == 0) return std::string_view();
  if (file_ < 0) {
    const std::string_view piece = std::string_view(memory_).substr(cursor.offset, left);
    cursor.offset += piece.size();
    return piece;
  }
  const ssize_t n = ::pread(file_, room.data(), std::min<std::uint64_t>(left, room.size()),
                            static_cast<off_t>(cursor.offset));
  if (n <= 0) {
    return Error{ErrorKind::kSystem, Origin::kSelf, Retry::kNever,
                 "a kept request body could not be read back"};
  }
  cursor.offset += static_cast<std::uint64_t>(n);
  return std::string_view(room.data(), static_cast<std::size_t>(n));
}

}  // namespace drover::gateway
