#pragma once
// The backend of every comparison: an instance as drover sees one (catalogue, residency, version),
// whose generations cost nothing. One thread, so cheap that the proxy in front is what is measured.

#include <cstdint>

#include "posix.h"

namespace drover::bench {

struct BackendOptions {
  std::uint32_t records = 128;                 // of one stream, before its last
  std::uint64_t interval_ns = 20 * 1'000'000;  // between two records of one stream
  // So many streams at first are cut shorter, each differently: streams that began together do
  // not end together.
  std::uint32_t staggered = 0;
};

// Serves until the process is killed.
[[noreturn]] void run_backend(Fd listener, const BackendOptions& options);

}  // namespace drover::bench
