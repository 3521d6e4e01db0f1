#pragma once
// Structured log lines: an event name and fields. The sink decides text or JSON (app/log_sink).
// No prompt, answer, key or header value is ever a field.

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <variant>

#include "base/time.h"

namespace drover {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError };

// Text that every format writes as it is, and is not looked over for that: a literal, an address,
// an id. It has neither quotes, backslashes nor control characters, and is ASCII.
struct PlainText {
  std::string_view text;
};

struct LogField {
  std::string_view key;  // snake_case, a literal
  // A Duration is told in milliseconds, to the microsecond: what is finer says nothing.
  std::variant<std::string_view, PlainText, std::int64_t, std::uint64_t, double, bool, Duration>
      value;
};

// Two implementations: the process's sink (app) and a recording one (tests).
class Log {
 public:
  virtual ~Log() = default;
  // Thread-safe, never blocks on the disk or terminal; lines over the queue's bound are counted
  // and dropped. `event` is one lower-case phrase such as "instance down": a literal, plain text.
  virtual void write(LogLevel level, std::string_view event, std::span<const LogField> fields) = 0;
  // Lines lost so far because the log was slower than the program. Any thread.
  virtual std::uint64_t dropped() const { return 0; }

  void info(std::string_view event, std::initializer_list<LogField> fields) {
    write(LogLevel::kInfo, event, {fields.begin(), fields.size()});
  }
  void warn(std::string_view event, std::initializer_list<LogField> fields) {
    write(LogLevel::kWarn, event, {fields.begin(), fields.size()});
  }
  void error(std::string_view event, std::initializer_list<LogField> fields) {
    write(LogLevel::kError, event, {fields.begin(), fields.size()});
  }
};

}  // namespace drover
