#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace drover {

void assertion_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "drover: broken invariant: %s (%s:%d)\n", what, file, line);
  std::fflush(stderr);
  std::abort();
}

}  // namespace drover
