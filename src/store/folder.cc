#include "store/folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/check.h"

namespace drover::store {
namespace {

constexpr std::string_view kMark = "drover";
constexpr std::size_t kLongestHead = 128;

Error wrong(const std::string& file, std::string_view what) {
  std::string message = file;
  message += ' ';
  message += what;
  return {ErrorKind::kSystem, Origin::kSelf, Retry::kNever, std::move(message)};
}

Error system_error(const std::string& file, std::string_view what) {
  return wrong(file, std::string(what) + ": " + std::generic_category().message(errno));
}

// FNV-1a: it finds damage; nobody who may write here needs to be kept from forging it.
std::uint64_t checksum(std::string_view bytes) {
  std::uint64_t sum = 0xcbf29ce484222325ULL;
  for (const char c : bytes) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return sum;
}

std::string head_of(const Kind& kind, std::string_view contents) {
  std::string head(kMark);
  head += ' ';
  head += kind.name;
  for (const std::uint64_t number :
       {std::uint64_t{kind.version}, std::uint64_t{contents.size()}, checksum(contents)}) {
    head += ' ' + std::to_string(number);
  }
  return head + '\n';
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view next_word(std::string_view& rest) {
  const std::size_t end = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

// Empty: it is whole. The contents are what follows the first line.
std::string check(const Kind& kind, std::string_view all, std::string_view& contents) {
  const std::size_t line = all.substr(0, kLongestHead).find('\n');
  if (line == std::string_view::npos) return "is not a file of drover's";
  std::string_view head = all.substr(0, line);
  if (next_word(head) != kMark || next_word(head) != kind.name) return "is not a file of drover's";
  const auto version = number(next_word(head));
  const auto bytes = number(next_word(head));
  const auto sum = number(next_word(head));
  if (!version || !bytes || !sum) return "is damaged in its first line";
  if (*version != kind.version) {
    return "is of version " + std::to_string(*version) + ", and this drover reads version " +
           std::to_string(kind.version);
  }
  contents = all.substr(line + 1);
  if (contents.size() != *bytes) return "is damaged: it does not have the size that it names";
  if (checksum(contents) != *sum) return "is damaged: its checksum does not match";
  return {};
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace

Result<Folder> Folder::open(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return wrong(path, "cannot be made: " + error.message());
  const int lock = ::open((path + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return system_error(path, "cannot be written");
  Folder folder(path, lock);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return wrong(path, "is in use by another drover");
    return system_error(path, "cannot be locked");
  }
  return folder;
}

Folder::Folder(Folder&& other) noexcept
    : path_(std::move(other.path_)),
      lock_(std::exchange(other.lock_, -1)),
      writing_(std::move(other.writing_)) {}

Folder& Folder::operator=(Folder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_, other.lock_);
  std::swap(writing_, other.writing_);
  return *this;
}

Folder::~Folder() {
  if (lock_ >= 0) ::close(lock_);
}

Result<std::optional<std::string>> Folder::read(const Kind& kind) const {
  const std::string path = file(kind);
  const Descriptor in(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (!in.ok() && errno == ENOENT) return std::optional<std::string>();
  struct stat info{};
  if (!in.ok() || ::fstat(in.get(), &info) != 0) return system_error(path, "cannot be read");
  if (!S_ISREG(info.st_mode)) return wrong(path, "is not a file of drover's");
  const std::size_t most = kind.max_bytes + kLongestHead;
  if (static_cast<std::uint64_t>(info.st_size) > most) return wrong(path, "is too large");
  std::string all(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t done = 0;
  while (done < all.size()) {
    const ssize_t count = ::read(in.get(), all.data() + done, all.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(path, "cannot be read");
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  all.resize(done);
  std::string_view contents;
  const std::string problem = check(kind, all, contents);
  if (!problem.empty()) return wrong(path, problem);
  return std::optional<std::string>(contents);
}

std::optional<std::string> Folder::set_aside(const Kind& kind) const {
  const std::string aside = file(kind) + ".aside";
  if (::rename(file(kind).c_str(), aside.c_str()) != 0) return std::nullopt;
  return aside;
}

Result<void> Folder::write(const Kind& kind, std::string_view contents) const {
  DROVER_ASSERT(contents.size() <= kind.max_bytes);
  const std::lock_guard turn(*writing_);
  const std::string path = file(kind);
  const std::string fresh = path + ".new";
  const Descriptor out(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!out.ok()) return system_error(path, "cannot be written");
  const bool whole = write_all(out.get(), head_of(kind, contents)) &&
                     write_all(out.get(), contents) && ::fsync(out.get()) == 0;
  if (!whole || ::rename(fresh.c_str(), path.c_str()) != 0) {
    Error error = system_error(path, "cannot be written");
    ::unlink(fresh.c_str());
    return error;
  }
  // The new name is on the disk with its folder; without that the old file is there after a loss of
  // power, which is no harm.
  const Descriptor folder(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.ok()) (void)::fsync(folder.get());
  return {};
}

}  // namespace drover::store
