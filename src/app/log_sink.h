#pragma once
// The process's log: lines to a descriptor (standard error), written by a thread of its own, so
// that a slow disk or a stopped terminal never holds up a request. A line waits 20 ms for others to
// be written with it; a warning goes at once, and takes along what waits.
//
// text: 12:03:04.123 WARN  instance down  instance=gpu0 reason="connection refused"
// json: {"ts":"2026-01-02T12:03:04.123Z","level":"warn","event":"instance down","instance":"gpu0"}
//
// Foreign text (a model's name, an instance's words) cannot forge a line or move a cursor: control
// bytes and what is not UTF-8 are escaped in both, and a value is cut after 2 KiB.

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/log.h"
#include "config/config.h"

namespace drover::app {

enum class LineFormat : std::uint8_t { kText, kColouredText, kJson };

struct LogOptions {
  LogLevel least = LogLevel::kInfo;
  LineFormat format = LineFormat::kJson;
  int descriptor = 2;                          // not closed
  std::size_t queued_bytes = 4 * 1024 * 1024;  // beyond: further lines are counted and dropped
};

class LogSink : public Log {
 public:
  explicit LogSink(LogOptions options);
  // Writes what waits, then ends the thread.
  ~LogSink() override;

  void write(LogLevel level, std::string_view event, std::span<const LogField> fields) override;

  std::uint64_t dropped() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What a configuration asks for, on standard error.
LineFormat line_format(config::LogFormat format);

// What "auto" means: coloured text on a terminal (plain with NO_COLOR set), json elsewhere.
LineFormat format_for(int descriptor);

}  // namespace drover::app
