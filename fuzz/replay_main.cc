// Replays a fuzz target's corpus as an ordinary test: every file below the given folders is run
// once through LLVMFuzzerTestOneInput. A missing or empty corpus fails, because a test that
// silently tries nothing is worse than none.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

// Named by the mutations of the targets, which nothing calls here.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t*, std::size_t size, std::size_t) {
  return size;
}

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->is_regular_file()) files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool replay(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    std::fprintf(stderr, "cannot read %s\n", file.c_str());
    return false;
  }
  // The name goes out first: when the target crashes, the last line says on what.
  std::fprintf(stderr, "%s\n", file.c_str());
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  // An exact copy on the heap, so that AddressSanitizer sees a read one past the end.
  const std::vector<std::uint8_t> input(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(input.data(), input.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER...\n", argv[0]);
    return 2;
  }
  std::size_t total = 0;
  for (int i = 1; i < argc; ++i) {
    const std::vector<fs::path> files = files_below(argv[i]);
    if (files.empty()) {
      std::fprintf(stderr, "corpus %s is missing or empty\n", argv[i]);
      return 1;
    }
    for (const fs::path& file : files) {
      if (!replay(file)) return 1;
    }
    total += files.size();
  }
  std::printf("replayed %zu inputs\n", total);
  return 0;
}
