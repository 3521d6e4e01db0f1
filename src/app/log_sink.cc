#include "app/log_sink.h"

#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "app/escape.h"
#include "base/put.h"

namespace drover::app {
namespace {

// How long a line waits for others, to share their write: a wake-up and a write of its own for each
// line cost more than all else that a small request does. A person who follows the log does not see
// it.
constexpr auto kCompany = std::chrono::milliseconds(50);
// With this much there is nothing to wait for.
constexpr std::size_t kEnoughBytes = 256 * 1024;

struct LevelLook {
  std::string_view json;
  std::string_view text;    // of one width, so that events line up
  std::string_view colour;  // ANSI
};

LevelLook look_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return {"debug", "DEBUG", "\x1b[2m"};
    case LogLevel::kInfo:
      return {"info", "INFO ", "\x1b[32m"};
    case LogLevel::kWarn:
      return {"warn", "WARN ", "\x1b[33m"};
    case LogLevel::kError:
      return {"error", "ERROR", "\x1b[31m"};
  }
  return {};
}

// The time at the beginning of a line. Lines come in runs of one second, whose text is kept.
class Stamp {
 public:
  void append(std::string& out, LineFormat format) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != second_) begin_second(now.tv_sec, format);
    out += text_;
    const auto millis = static_cast<unsigned>(now.tv_nsec / 1'000'000);
    out += static_cast<char>('0' + millis / 100);
    out += static_cast<char>('0' + millis / 10 % 10);
    out += static_cast<char>('0' + millis % 10);
  }

 private:
  void begin_second(std::time_t second, LineFormat format) {
    second_ = second;
    std::tm parts{};
    if (format == LineFormat::kJson) {
      gmtime_r(&second, &parts);
      text_ =
          fmt::format("{:04}-{:02}-{:02}T", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
    } else {
      localtime_r(&second, &parts);
      text_.clear();
    }
    fmt::format_to(std::back_inserter(text_), "{:02}:{:02}:{:02}.", parts.tm_hour, parts.tm_min,
                   parts.tm_sec);
  }

  std::time_t second_ = -1;
  std::string text_;
};

void write_all(int descriptor, std::string_view lines) {
  while (!lines.empty()) {
    const ssize_t sent = ::write(descriptor, lines.data(), lines.size());
    if (sent > 0) {
      lines.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      // Somebody who shares the terminal made it non-blocking.
      pollfd ready{descriptor, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return;  // closed or full: a log has nobody to tell
    }
  }
}

// A line, written into memory that has room for all of it: see line_bound().
class Line {
 public:
  Line(char* room, LineFormat format) : begin_(room), end_(room), format_(format) {}

  void put(std::string_view text) { end_ = drover::put(end_, text); }
  void put(char c) { end_ = drover::put(end_, c); }
  std::string_view text() const { return {begin_, static_cast<std::size_t>(end_ - begin_)}; }

  // A field's value.
  void operator()(std::string_view value) {
    if (format_ == LineFormat::kJson) {
      end_ = put_json_quoted(end_, value);
    } else {
      put(text_value(value));
    }
  }
  void operator()(PlainText value) {
    if (format_ != LineFormat::kJson) return (*this)(value.text);
    put('"');
    put(value.text);
    put('"');
  }
  void operator()(bool value) { put(value ? std::string_view("true") : "false"); }
  void operator()(std::int64_t value) { end_ = std::to_chars(end_, end_ + kNumberRoom, value).ptr; }
  void operator()(std::uint64_t value) { end_ = put_number(end_, value); }
  void operator()(double value) {
    // JSON has no word for infinity.
    if (format_ == LineFormat::kJson && !std::isfinite(value)) {
      put("null");
    } else {
      end_ = fmt::format_to(end_, "{:.6g}", value);
    }
  }
  void operator()(Duration value) {
    const auto nanos = static_cast<std::uint64_t>(value.count());
    const std::uint64_t micros = ((value.count() < 0 ? 0 - nanos : nanos) + 500) / 1000;
    if (value.count() < 0 && micros > 0) put('-');
    end_ = put_number(end_, micros / 1000);
    std::uint64_t rest = micros % 1000;
    if (rest == 0) return;
    put('.');
    for (std::uint64_t place = 100; rest != 0; rest %= place, place /= 10) {
      put(static_cast<char>('0' + rest / place));
    }
  }
  static constexpr std::size_t kNumberBound = 24;

 private:
  char* begin_;
  char* end_;
  LineFormat format_;
};

// The most bytes that put_body() may write. In text, a byte becomes \xNN at worst.
std::size_t line_bound(std::string_view event, std::span<const LogField> fields) {
  constexpr std::size_t kFrame = 64;      // level, colours, braces
  constexpr std::size_t kFieldFrame = 8;  // ,"":
  std::size_t bytes = kFrame + quoted_bound(event) + event.size();
  for (const LogField& field : fields) {
    bytes += field.key.size() + kFieldFrame;
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      bytes += quoted_bound(*text);
    } else if (const auto* plain = std::get_if<PlainText>(&field.value)) {
      bytes += quoted_bound(plain->text) + plain->text.size();  // whichever the format takes
    } else {
      bytes += Line::kNumberBound;
    }
  }
  return bytes;
}

// Everything behind the time. Keys are literals and need no escape.
void put_body(Line& line, LineFormat format, LogLevel level, std::string_view event,
              std::span<const LogField> fields) {
  const LevelLook look = look_of(level);
  const bool json = format == LineFormat::kJson;
  if (json) {
    line.put("Z\",\"level\":\"");
    line.put(look.json);
    line.put("\",\"event\":");
    line(PlainText{event});
  } else {
    const bool coloured = format == LineFormat::kColouredText;
    line.put(' ');
    if (coloured) line.put(look.colour);
    line.put(look.text);
    if (coloured) line.put("\x1b[0m");
    line.put(' ');
    line.put(text_words(event));
    if (!fields.empty()) line.put(' ');
  }
  for (const LogField& field : fields) {
    line.put(json ? ',' : ' ');
    if (json) line.put('"');
    line.put(field.key);
    if (json) line.put('"');
    line.put(json ? ':' : '=');
    std::visit(line, field.value);
  }
  if (json) line.put('}');
  line.put('\n');
}

}  // namespace

// Loops put lines down, one thread carries them away: a box with a lid that is opened for a moment.
struct LogSink::State {
  explicit State(LogOptions wanted) : options(wanted), thread([this] { carry(); }) {}
  ~State() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_one();
    thread.join();
  }

  void put(LogLevel level, std::string_view body) {
    bool news = false;
    {
      const std::lock_guard lock(mutex);
      if (waiting.size() >= options.queued_bytes) {
        ++dropped;
        return;
      }
      const bool first = waiting.empty();
      if (options.format == LineFormat::kJson) waiting += "{\"ts\":\"";
      stamp.append(waiting, options.format);
      waiting += body;
      const bool enough = !due && (level >= LogLevel::kWarn || waiting.size() >= kEnoughBytes);
      due = due || enough;
      news = first || enough;
    }
    if (news) wake.notify_one();
  }

  void carry() {
    have_own_descriptors();
    std::string lines;
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [this] { return stopping || !waiting.empty(); });
      if (waiting.empty()) return;
      wake.wait_for(lock, kCompany, [this] { return stopping || due; });
      lines.swap(waiting);
      due = false;
      lock.unlock();
      // The only place that may wait for the descriptor.
      write_all(options.descriptor, lines);
      lines.clear();
      lock.lock();
    }
  }

  // Where threads share a table of descriptors, the kernel counts every use of one, atomically: 75
  // to 150 ns for each call on a socket, of which a request has four. With one loop, this thread
  // would be the only other one.
  void have_own_descriptors() const {
    if (options.descriptor > STDERR_FILENO) return;
    ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_UNSHARE);
  }

  LogOptions options;
  std::mutex mutex;
  std::condition_variable wake;
  std::string waiting;  // whole lines
  Stamp stamp;
  bool due = false;  // what waits should not wait for more
  bool stopping = false;
  std::uint64_t dropped = 0;
  std::thread thread;  // last: it begins with all of the above there
};

LogSink::LogSink(LogOptions options) : state_(std::make_unique<State>(options)) {}
LogSink::~LogSink() = default;

void LogSink::write(LogLevel level, std::string_view event, std::span<const LogField> fields) {
  if (level < state_->options.least) return;
  const std::size_t bound = line_bound(event, fields);
  std::array<char, 4096> usual;  // not initialised: a line is short
  std::unique_ptr<char[]> more;
  if (bound > usual.size()) more = std::make_unique_for_overwrite<char[]>(bound);
  Line line(more ? more.get() : usual.data(), state_->options.format);
  put_body(line, state_->options.format, level, event, fields);
  state_->put(level, line.text());
}

std::uint64_t LogSink::dropped() const {
  const std::lock_guard lock(state_->mutex);
  return state_->dropped;
}

LineFormat line_format(config::LogFormat format) {
  switch (format) {
    case config::LogFormat::kText:
      return LineFormat::kText;
    case config::LogFormat::kJson:
      return LineFormat::kJson;
    case config::LogFormat::kAuto:
      break;
  }
  return format_for(2);
}

LineFormat format_for(int descriptor) {
  if (::isatty(descriptor) == 0) return LineFormat::kJson;
  const char* plain = std::getenv("NO_COLOR");
  const bool wants_plain = plain != nullptr && *plain != '\0';
  return wants_plain ? LineFormat::kText : LineFormat::kColouredText;
}

}  // namespace drover::app
