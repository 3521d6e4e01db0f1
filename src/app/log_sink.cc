#include "app/log_sink.h"

#include <fmt/format.h>
#include <poll.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <iterator>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "app/escape.h"

namespace drover::app {
namespace {

struct LevelLook {
  std::string_view json;
  std::string_view text;    // of one width, so that events line up
  std::string_view colour;  // ANSI
};

LevelLook look_of(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::debug:
      return {"debug", "DEBUG", "\x1b[2m"};
    case spdlog::level::warn:
      return {"warn", "WARN ", "\x1b[33m"};
    case spdlog::level::err:
      return {"error", "ERROR", "\x1b[31m"};
    default:
      return {"info", "INFO ", "\x1b[32m"};
  }
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// What stands before event and fields. spdlog stamped the time when write() was called.
std::string prefix(const spdlog::details::log_msg& message, LineFormat format) {
  const auto since =
      std::chrono::duration_cast<std::chrono::milliseconds>(message.time.time_since_epoch());
  const auto seconds = static_cast<std::time_t>(since.count() / 1000);
  const auto millis = since.count() % 1000;
  const LevelLook look = look_of(message.level);
  std::tm parts{};
  if (format == LineFormat::kJson) {
    gmtime_r(&seconds, &parts);
    return fmt::format(R"({{"ts":"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z","level":"{}",)",
                       parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                       parts.tm_min, parts.tm_sec, millis, look.json);
  }
  localtime_r(&seconds, &parts);
  const bool coloured = format == LineFormat::kColouredText;
  return fmt::format("{:02}:{:02}:{:02}.{:03} {}{}{} ", parts.tm_hour, parts.tm_min, parts.tm_sec,
                     millis, coloured ? look.colour : "", look.text, coloured ? "\x1b[0m" : "");
}

// Writes whole lines. Runs on the log's own thread, the only one that may wait for the descriptor.
class DescriptorSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  DescriptorSink(int descriptor, LineFormat format) : descriptor_(descriptor), format_(format) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    std::string line = prefix(message, format_);
    line.append(message.payload.data(), message.payload.size());
    line += format_ == LineFormat::kJson ? "}\n" : "\n";
    write_all(line);
  }
  void flush_() override {}

  void write_all(std::string_view line) const {
    while (!line.empty()) {
      const ssize_t sent = ::write(descriptor_, line.data(), line.size());
      if (sent > 0) {
        line.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN) {
        // Somebody who shares the terminal made it non-blocking.
        pollfd ready{descriptor_, POLLOUT, 0};
        ::poll(&ready, 1, -1);
      } else if (errno != EINTR) {
        return;  // closed or full: a log has nobody to tell
      }
    }
  }

  int descriptor_;
  LineFormat format_;
};

struct FieldText {
  std::string& out;
  LineFormat format;

  void operator()(std::string_view value) const {
    out += format == LineFormat::kJson ? json_quoted(value) : text_value(value);
  }
  void operator()(bool value) const { out += value ? "true" : "false"; }
  void operator()(std::int64_t value) const {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
  void operator()(std::uint64_t value) const {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
  void operator()(double value) const {
    // JSON has no word for infinity.
    if (format == LineFormat::kJson && !std::isfinite(value)) {
      out += "null";
    } else {
      fmt::format_to(std::back_inserter(out), "{:.6g}", value);
    }
  }
};

std::string body(LineFormat format, std::string_view event, std::span<const LogField> fields) {
  std::string out;
  const bool json = format == LineFormat::kJson;
  out += json ? R"("event":)" + json_quoted(event) : text_words(event);
  if (!json && !fields.empty()) out += ' ';
  for (const LogField& field : fields) {
    out += json ? "," + json_quoted(field.key) + ":" : " " + text_words(field.key) + "=";
    std::visit(FieldText{out, format}, field.value);
  }
  return out;
}

}  // namespace

struct LogSink::State {
  explicit State(LogOptions wanted)
      : options(wanted),
        pool(std::make_shared<spdlog::details::thread_pool>(wanted.queued_lines, 1)),
        logger(std::make_shared<spdlog::async_logger>(
            "drover", std::make_shared<DescriptorSink>(wanted.descriptor, wanted.format), pool,
            spdlog::async_overflow_policy::overrun_oldest)) {
    logger->set_level(to_spdlog(wanted.least));
  }

  LogOptions options;
  // Both shared because spdlog's queue holds references; no one else ever gets them.
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::async_logger> logger;
};

LogSink::LogSink(LogOptions options) : state_(std::make_unique<State>(options)) {}
LogSink::~LogSink() = default;

void LogSink::write(LogLevel level, std::string_view event, std::span<const LogField> fields) {
  if (level < state_->options.least) return;
  const std::string line = body(state_->options.format, event, fields);
  // A string_view argument is taken as it is: no format string, whatever it contains.
  state_->logger->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

std::uint64_t LogSink::dropped() const { return state_->pool->overrun_counter(); }

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
