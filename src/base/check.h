#pragma once
// DROVER_ASSERT: a broken invariant in shared state. On in release: a crash is honest and a restart
// is cheap, a wrong fleet is neither. Never for what a peer or an operator can cause.

namespace drover {

[[noreturn]] void assertion_failed(const char* what, const char* file, int line);

}  // namespace drover

#define DROVER_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::drover::assertion_failed(#condition, __FILE__, __LINE__))
