#pragma once
// What an instance writes to its standard output and error, kept in a file that never grows beyond
// its bound: a full file is put aside as NAME.log.1 (.2, .3), the oldest goes.
//
// Belongs to the keeper's loop. A disk that is full or slow must not stop an instance: what cannot
// be written is dropped and counted, and the instance's pipe is emptied all the same.

#include <cstdint>
#include <string>
#include <string_view>

#include "net/epoll_loop.h"

namespace drover::keeper {

class OutputLog final : private net::EpollLoop::Watch {
 public:
  struct Options {
    std::string path;  // its directory exists
    std::uint64_t bytes = 10 * 1024 * 1024;
    unsigned kept = 3;
  };
  OutputLog(net::EpollLoop& loop, Options options);
  ~OutputLog();

  // The write end of a new pipe for a process to be started; the caller closes it after the start.
  // What an earlier process still had in its pipe is taken first. -1: no descriptor (errno says
  // why).
  int open_pipe();
  // A line of our own, marked as such, between those of the instance.
  void note(std::string_view line);
  // The newest line that says something; for "why did it end?". At most 300 bytes.
  const std::string& last_line() const { return last_line_; }
  void forget_last_line() { last_line_.clear(); }
  std::uint64_t dropped_bytes() const { return dropped_; }
  const std::string& path() const { return options_.path; }

 private:
  void on_events(std::uint32_t events) override;
  void drain();
  void close_pipe();
  void write(std::string_view bytes);
  void open_file();
  void rotate();
  void watch_lines(std::string_view bytes);

  net::EpollLoop& loop_;
  Options options_;
  int pipe_ = -1;
  int file_ = -1;
  std::uint64_t size_ = 0;
  std::uint64_t dropped_ = 0;
  std::string line_;  // unfinished
  std::string last_line_;
};

}  // namespace drover::keeper
