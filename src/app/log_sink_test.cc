#include "app/log_sink.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <limits>
#include <memory>

#include "app/escape.h"

namespace drover::app {
namespace {

struct Pipe {
  Pipe() { EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0); }
  ~Pipe() {
    ::close(ends[0]);
    close_writer();
  }
  void close_writer() {
    if (ends[1] >= 0) ::close(ends[1]);
    ends[1] = -1;
  }
  // Until every writer is closed.
  std::string read_all() {
    close_writer();
    std::string out;
    char piece[4096];
    for (ssize_t got; (got = ::read(ends[0], piece, sizeof piece)) > 0;) {
      out.append(piece, static_cast<std::size_t>(got));
    }
    return out;
  }
  int ends[2] = {-1, -1};
};

// What a sink of this format writes for the lines of `use`.
template <class Use>
std::string written(LineFormat format, Use use, LogLevel least = LogLevel::kDebug) {
  Pipe pipe;
  {
    LogSink log({.least = least, .format = format, .descriptor = pipe.ends[1]});
    use(log);
  }
  return pipe.read_all();
}

TEST(LogSink, JsonIsOneObjectALine) {
  const std::string line = written(LineFormat::kJson, [](Log& log) {
    log.warn("instance down", {{"instance", "gpu0"},
                               {"failures", std::uint64_t{2}},
                               {"change", std::int64_t{-1}},
                               {"seconds", 1.5},
                               {"supervised", false}});
  });
  // {"ts":"2026-01-02T03:04:05.678Z", — 25 characters of time, then the rest.
  ASSERT_GT(line.size(), 34u);
  EXPECT_EQ(line.substr(0, 7), "{\"ts\":\"");
  EXPECT_EQ(line[17], 'T');
  EXPECT_EQ(line[26], '.');
  EXPECT_EQ(
      line.substr(30),
      "Z\",\"level\":\"warn\",\"event\":\"instance down\",\"instance\":\"gpu0\",\"failures\":2,"
      "\"change\":-1,\"seconds\":1.5,\"supervised\":false}\n");
}

TEST(LogSink, NumbersAreWrittenShort) {
  const std::string line = written(LineFormat::kText, [](Log& log) {
    log.info("x", {{"a", 0.0},
                   {"b", 0.001},
                   {"c", 12.34},
                   {"d", 1234567.891},
                   {"e", 0.25e-4},
                   {"f", -2.5},
                   {"g", 3e20},
                   {"h", 7.0},
                   {"i", 10.05}});
  });
  EXPECT_NE(line.find("a=0 b=0.001 c=12.34 d=1.23457e+06 e=2.5e-05 f=-2.5 g=3e+20 h=7 i=10.05"),
            std::string::npos)
      << line;
}

TEST(LogSink, ADurationIsToldInMillisecondsToTheMicrosecond) {
  const std::string line = written(LineFormat::kJson, [](Log& log) {
    log.info("x", {{"a", Duration(0)},
                   {"b", Duration(1'000)},
                   {"c", Duration(12'340'499)},
                   {"d", Duration(12'340'500)},
                   {"e", Duration(999'999'500)},
                   {"f", Duration(-2'500'000)},
                   {"g", Duration::max()},
                   {"h", Duration::min()},
                   {"i", Duration(-499)}});
  });
  EXPECT_NE(line.find(R"("a":0,"b":0.001,"c":12.34,"d":12.341,"e":1000,"f":-2.5,)"
                      R"("g":9223372036854.776,"h":-9223372036854.776,"i":0})"),
            std::string::npos)
      << line;
}

TEST(LogSink, PlainTextIsQuotedLikeOtherText) {
  const std::string text(kLongestValue, 'x');
  const auto use = [&text](Log& log) {
    log.info("x", {{"a", PlainText{"/api/chat"}},
                   {"b", PlainText{""}},
                   {"c", PlainText{"two words"}},
                   {"d", PlainText{text}}});
  };
  const std::string json = written(LineFormat::kJson, use);
  EXPECT_NE(json.find(R"("a":"/api/chat","b":"","c":"two words","d":")" + text + "\"}\n"),
            std::string::npos)
      << json;
  const std::string line = written(LineFormat::kText, use);
  EXPECT_NE(line.find(R"(a=/api/chat b="" c="two words" d=)" + text), std::string::npos) << line;
}

TEST(LogSink, TextHasTimeLevelEventAndFields) {
  const std::string line = written(LineFormat::kText, [](Log& log) {
    log.info("listening", {{"address", "127.0.0.1:11434"}, {"why", "two words"}});
  });
  ASSERT_GT(line.size(), 13u);
  EXPECT_EQ(line[2], ':');
  EXPECT_EQ(line[8], '.');
  EXPECT_EQ(line.substr(12), " INFO  listening  address=127.0.0.1:11434 why=\"two words\"\n");
}

TEST(LogSink, ColourIsOnlyAroundTheLevel) {
  const std::string line =
      written(LineFormat::kColouredText, [](Log& log) { log.error("instance down", {}); });
  EXPECT_EQ(line.substr(12), " \x1b[31mERROR\x1b[0m instance down\n");
}

TEST(LogSink, ForeignTextCannotForgeALine) {
  const auto forge = [](Log& log) {
    log.info("model asked", {{"model", "x\n{\"level\":\"error\"}\x1b[2J"}, {"braces", "{} {0}"}});
  };
  const std::string json = written(LineFormat::kJson, forge);
  EXPECT_EQ(std::count(json.begin(), json.end(), '\n'), 1);
  EXPECT_EQ(json.find('\x1b'), std::string::npos);
  const std::string text = written(LineFormat::kText, forge);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text.find("{} {0}"), std::string::npos);
}

TEST(LogSink, LinesBelowTheLevelAreNotWritten) {
  const std::string lines = written(
      LineFormat::kText,
      [](Log& log) {
        log.info("hidden", {});
        log.warn("shown", {});
      },
      LogLevel::kWarn);
  EXPECT_EQ(lines.find("hidden"), std::string::npos);
  EXPECT_NE(lines.find("shown"), std::string::npos);
}

TEST(LogSink, JsonHasNoInfinity) {
  const std::string line = written(LineFormat::kJson, [](Log& log) {
    log.info("x", {{"a", std::numeric_limits<double>::infinity()}});
  });
  EXPECT_NE(line.find("\"a\":null"), std::string::npos) << line;
}

TEST(LogSink, AStuckReaderCostsLinesAndNeverTheWriter) {
  Pipe pipe;
  const int writer = pipe.ends[1];
  auto log = std::make_unique<LogSink>(LogOptions{.least = LogLevel::kInfo,
                                                  .format = LineFormat::kText,
                                                  .descriptor = writer,
                                                  .queued_bytes = 8000});
  const std::string kilobyte(1000, 'x');
  // A pipe holds 64 KiB; nobody reads, so the queue fills and further lines go.
  for (int i = 0; i < 1000; ++i) log->info("line", {{"padding", kilobyte}});
  EXPECT_GT(log->dropped(), 0u);
  EXPECT_LE(log->dropped(), 1000u);
  // Reading frees the thread; what still waits is written when the log ends.
  const int flags = ::fcntl(pipe.ends[0], F_GETFL);
  ::fcntl(pipe.ends[0], F_SETFL, flags | O_NONBLOCK);
  const int reader = pipe.ends[0];
  char piece[65536];
  std::size_t lines = 0;
  const std::uint64_t wanted = 1000 - log->dropped();
  while (lines < wanted) {
    pollfd ready{reader, POLLIN, 0};
    ASSERT_GT(::poll(&ready, 1, 20'000), 0) << lines << " of " << wanted;
    const ssize_t got = ::read(reader, piece, sizeof piece);
    ASSERT_GT(got, 0);
    lines += static_cast<std::size_t>(std::count(piece, piece + got, '\n'));
  }
  EXPECT_EQ(lines, wanted);
}

TEST(LogSink, AutoIsJsonWhereNoTerminalIs) {
  const Pipe pipe;
  EXPECT_EQ(format_for(pipe.ends[1]), LineFormat::kJson);
}

}  // namespace
}  // namespace drover::app
