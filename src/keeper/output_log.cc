#include "keeper/output_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace drover::keeper {
namespace {

constexpr std::size_t kLongestLine = 300;
constexpr mode_t kFileMode = 0640;  // prompts may stand in it, should a debug variable be set
// A single turn of the loop takes at most this much: an instance that floods is not alone here.
constexpr std::size_t kBytesPerTurn = std::size_t{1} << 20;

}  // namespace

OutputLog::OutputLog(net::EpollLoop& loop, Options options)
    : loop_(loop), options_(std::move(options)) {}

OutputLog::~OutputLog() {
  close_pipe();
  if (file_ >= 0) ::close(file_);
}

int OutputLog::open_pipe() {
  close_pipe();
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return -1;
  pipe_ = fds[0];
  ::fcntl(pipe_, F_SETFL, O_NONBLOCK);
  if (!loop_.watch(pipe_, EPOLLIN, *this)) {
    ::close(std::exchange(pipe_, -1));
    ::close(fds[1]);
    return -1;
  }
  return fds[1];
}

void OutputLog::close_pipe() {
  if (pipe_ < 0) return;
  drain();
  if (pipe_ < 0) return;
  loop_.forget(pipe_);
  ::close(std::exchange(pipe_, -1));
}

void OutputLog::on_events(std::uint32_t) { drain(); }

void OutputLog::drain() {
  char buffer[16 * 1024];
  for (std::size_t taken = 0; taken < kBytesPerTurn;) {
    const ssize_t count = ::read(pipe_, buffer, sizeof(buffer));
    if (count < 0) return;
    if (count == 0) {
      loop_.forget(pipe_);
      ::close(std::exchange(pipe_, -1));
      return;
    }
    const std::string_view bytes(buffer, static_cast<std::size_t>(count));
    taken += bytes.size();
    write(bytes);
    watch_lines(bytes);
  }
}

void OutputLog::note(std::string_view line) { write(fmt::format("drover: {}\n", line)); }

void OutputLog::write(std::string_view bytes) {
  if (file_ < 0) open_file();
  if (size_ > 0 && size_ + bytes.size() > options_.bytes) {
    rotate();
    open_file();
  }
  const ssize_t written = file_ < 0 ? -1 : ::write(file_, bytes.data(), bytes.size());
  const std::uint64_t kept = written < 0 ? 0 : static_cast<std::uint64_t>(written);
  size_ += kept;
  dropped_ += bytes.size() - kept;
}

void OutputLog::open_file() {
  file_ = ::open(options_.path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, kFileMode);
  struct stat info{};
  size_ = file_ >= 0 && ::fstat(file_, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

void OutputLog::rotate() {
  ::close(std::exchange(file_, -1));
  for (unsigned number = options_.kept; number > 0; --number) {
    const std::string older = fmt::format("{}.{}", options_.path, number);
    const std::string newer =
        number == 1 ? options_.path : fmt::format("{}.{}", options_.path, number - 1);
    std::rename(newer.c_str(), older.c_str());
  }
}

void OutputLog::watch_lines(std::string_view bytes) {
  for (const char c : bytes) {
    if (c != '\n') {
      if (line_.size() < kLongestLine && c != '\r') line_ += c;
      continue;
    }
    if (line_.find_first_not_of(" \t") != std::string::npos) last_line_ = line_;
    line_.clear();
  }
}

}  // namespace drover::keeper
