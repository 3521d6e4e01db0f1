#pragma once
// The end of one growing file, like `tail -F`: the last lines first, then what is added. A file
// that is put aside (NAME.log.1, .2, .3) and begun anew, as the keeper does with a full one, is
// read to its end before the new one.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace drover::app {

class LogTail {
 public:
  using OnLine = std::function<void(std::string_view line)>;

  explicit LogTail(std::string path) : path_(std::move(path)) {}
  LogTail(LogTail&& other) noexcept;
  LogTail& operator=(LogTail&&) = delete;
  ~LogTail();

  // The last `count` lines, from files that were put aside too when the newest has fewer. A line
  // that is not finished is left to more(), or to rest(). Errors: kSystem with path and reason.
  Result<void> last(std::size_t count, const OnLine& on_line);
  // Whole lines since then. A file that is not there (any more) has none.
  void more(const OnLine& on_line);
  // What follows the last line break; empty when nothing does.
  const std::string& rest() const { return rest_; }

 private:
  void read_to_end(const OnLine& on_line);
  void take(std::string_view bytes, const OnLine& on_line);
  bool open_newest();
  bool was_replaced() const;

  std::string path_;
  int file_ = -1;
  std::string rest_;
};

// The instances that have a log in this directory, sorted. Errors: kSystem with the reason; its
// message is empty when there is no such directory.
Result<std::vector<std::string>> logged_instances(const std::string& directory);

}  // namespace drover::app
