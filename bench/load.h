#pragma once
// The load client: one thread, plain epoll, every answer checked. It reads the counters of the
// proxy itself, at the edges of the measured time, so that work and cost belong together.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "posix.h"
#include "texts.h"
#include "usage.h"

namespace drover::bench {

// Each of so many connections asks again when it has its answer, for a time.
struct LoopLoad {
  std::uint32_t connections = 1;
  std::uint64_t warm_up_ns = 0;  // from when all connections are open
  std::uint64_t measured_ns = 0;
  // Connections open one each so long, so that streams are spread over their interval.
  std::uint64_t opening_ns = 0;
};

// Connections that stay open: each has its answer (or, of a stream, its first records), when the
// memory of the proxy is read, once with few and once with many.
struct HoldLoad {
  std::uint32_t few = 0;
  std::uint32_t many = 0;
  std::uint64_t opening_ns = 0;
  // Of a stream; then it is under way. One that ended before has all it was opened for, too.
  std::uint32_t records = 2;
};

struct LoadPlan {
  std::uint16_t port = 0;
  Question question;
  std::variant<LoopLoad, HoldLoad> how;
  // Whose use is read.
  pid_t proxy = 0;  // 0: nobody stands between
  pid_t backend = 0;
  Cores cores;  // all that the measured programs run on
};

// Plain bytes, because it goes through a pipe from the process that makes the load.
struct LoadReport {
  double seconds = 0;
  std::uint64_t answers = 0;
  std::uint64_t records = 0;  // of streams
  // Of answers, or of records when the question is for streams; nanoseconds.
  double p50_ns = 0, p90_ns = 0, p99_ns = 0, p999_ns = 0;
  // CPU of the proxy and of the load tools, and what the cores did beyond both.
  double proxy_ns = 0, proxy_user_ticks = 0, proxy_kernel_ticks = 0;
  double tools_ns = 0;
  double foreign_ns = 0;
  double memory_empty = 0, memory_few = 0, memory_many = 0;  // bytes, all processes
  double held_few = 0, held_many = 0;                        // connections
  double memory_largest = 0;                                 // the largest process, empty
  std::uint64_t wrong = 0;                                   // answers
  char problem[256] = {};                                    // of the first
};

LoadReport run_load(const LoadPlan& plan);

}  // namespace drover::bench
