#include "app/log_tail.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

namespace drover::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".log";
// More than the keeper ever puts aside; the first that is missing ends the search.
constexpr int kMostAside = 100;
constexpr off_t kBlock = off_t{64} * 1024;
// An instance that never breaks its lines must not make us keep all of them.
constexpr std::size_t kLongestLine = std::size_t{64} * 1024;

Error cannot_read(const std::string& path, int code) {
  std::string message = fmt::format("cannot read {}: {}", path, std::strerror(code));
  if (code == EACCES) message += "; run this as the user that runs drover, or with sudo";
  return {ErrorKind::kSystem, Origin::kSelf, Retry::kNever, std::move(message)};
}

std::string aside(const std::string& path, int number) {
  return fmt::format("{}.{}", path, number);
}

// Where the last `count` whole lines begin; `count` falls by the lines that the file has of them.
off_t find_last_lines(int file, off_t size, std::size_t& count) {
  std::string block(static_cast<std::size_t>(kBlock), '\0');
  std::size_t breaks = 0;  // the first one seen ends the last line
  for (off_t end = size; end > 0;) {
    const off_t begin = std::max<off_t>(0, end - kBlock);
    const ssize_t got = ::pread(file, block.data(), static_cast<std::size_t>(end - begin), begin);
    for (ssize_t i = got; i > 0; --i) {
      if (block[static_cast<std::size_t>(i - 1)] != '\n') continue;
      if (breaks++ == count) {
        count = 0;
        return begin + i;
      }
    }
    end = begin;
  }
  count -= breaks;
  return 0;
}

}  // namespace

LogTail::LogTail(LogTail&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::exchange(other.file_, -1)),
      rest_(std::move(other.rest_)) {}

LogTail::~LogTail() {
  if (file_ >= 0) ::close(file_);
}

Result<void> LogTail::last(std::size_t count, const OnLine& on_line) {
  std::vector<std::pair<int, off_t>> from;  // newest first
  std::size_t wanted = count;
  ino_t inode = 0;  // of the file before
  for (int number = 0; number <= kMostAside && (number == 0 || wanted > 0); ++number) {
    const std::string path = number == 0 ? path_ : aside(path_, number);
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) {
      // The newest is missing for a moment when it has just been put aside.
      if (errno == ENOENT && number == 0) continue;
      if (errno == ENOENT) break;
      const Error error = cannot_read(path, errno);
      for (const auto& [opened, begin] : from) ::close(opened);
      return error;
    }
    struct stat info{};
    ::fstat(file, &info);
    // Put aside since the last turn: the same file under its next name.
    const bool seen_already = std::exchange(inode, info.st_ino) == info.st_ino;
    if (seen_already) {
      ::close(file);
      continue;
    }
    from.emplace_back(file, find_last_lines(file, info.st_size, wanted));
  }
  for (auto it = from.rbegin(); it != from.rend(); ++it) {
    if (file_ >= 0) ::close(file_);
    file_ = it->first;
    ::lseek(file_, it->second, SEEK_SET);
    read_to_end(on_line);
  }
  return {};
}

void LogTail::more(const OnLine& on_line) {
  if (file_ < 0 && !open_newest()) return;
  // Asked first: what is written between the two goes to the file that is read.
  const bool replaced = was_replaced();
  read_to_end(on_line);
  if (!replaced) return;
  ::close(std::exchange(file_, -1));
  if (open_newest()) read_to_end(on_line);
}

bool LogTail::open_newest() {
  file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  return file_ >= 0;
}

bool LogTail::was_replaced() const {
  struct stat named{};
  struct stat opened{};
  if (::stat(path_.c_str(), &named) != 0 || ::fstat(file_, &opened) != 0) return false;
  return named.st_ino != opened.st_ino || named.st_dev != opened.st_dev;
}

void LogTail::read_to_end(const OnLine& on_line) {
  std::string block(static_cast<std::size_t>(kBlock), '\0');
  for (;;) {
    const ssize_t got = ::read(file_, block.data(), block.size());
    if (got <= 0) return;
    take(std::string_view(block).substr(0, static_cast<std::size_t>(got)), on_line);
  }
}

void LogTail::take(std::string_view bytes, const OnLine& on_line) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const bool whole = end != std::string_view::npos;
    rest_.append(bytes.substr(0, end));
    bytes.remove_prefix(whole ? end + 1 : bytes.size());
    if (!whole && rest_.size() < kLongestLine) return;
    on_line(rest_);
    rest_.clear();
  }
}

Result<std::vector<std::string>> logged_instances(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string file = it->path().filename().string();
    if (file.size() <= kSuffix.size() || !file.ends_with(kSuffix)) continue;
    names.push_back(file.substr(0, file.size() - kSuffix.size()));
  }
  if (error == std::errc::no_such_file_or_directory) {
    return Error{ErrorKind::kSystem, Origin::kSelf, Retry::kNever, ""};
  }
  if (error) return cannot_read(directory, error.value());
  std::ranges::sort(names);
  return names;
}

}  // namespace drover::app
