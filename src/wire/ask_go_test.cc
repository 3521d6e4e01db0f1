#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "wire/testing.h"

namespace drover::wire {

bool has_go() { return std::system("command -v go >/dev/null 2>&1") == 0; }

std::vector<std::string> ask_go(const std::string& mode, const std::vector<std::string>& inputs) {
  namespace fs = std::filesystem;
  EXPECT_TRUE(fs::exists("test/go_json/main.go")) << "run this from the root of the tree";
  const fs::path folder = fs::path(::testing::TempDir()) / ("drover_go_" + mode);
  fs::create_directories(folder);
  std::ofstream input(folder / "inputs", std::ios::binary);
  for (const std::string& each : inputs) input << each.size() << '\n' << each;
  input.close();
  const std::string program = (folder / "go_json").string();
  const std::string build =
      "cd test/go_json && GOTOOLCHAIN=local GOPROXY=off GOFLAGS= go build -o " + program + " .";
  EXPECT_EQ(std::system(build.c_str()), 0) << build;
  const std::string ask = program + ' ' + mode + " < " + (folder / "inputs").string() + " > " +
                          (folder / "lines").string();
  EXPECT_EQ(std::system(ask.c_str()), 0) << ask;
  std::ifstream output(folder / "lines");
  std::vector<std::string> lines;
  for (std::string line; std::getline(output, line);) lines.push_back(line);
  EXPECT_EQ(lines.size(), inputs.size());
  lines.resize(inputs.size());
  fs::remove_all(folder);
  return lines;
}

std::string in_hex(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += kHex[byte >> 4U];
    out += kHex[byte & 15U];
  }
  return out;
}

TEST(AskGo, HasALineForEachInput) {
  if (!has_go()) GTEST_SKIP() << "no `go` on the PATH";
  const std::vector<std::string> inputs = {"", "{}", "{\"model\":\"a\\n\"}"};
  EXPECT_EQ(
      ask_go("json", inputs),
      (std::vector<std::string>{"syntax", "ok model= stream=none usage=false num_ctx=0 empty=true",
                                "ok model=610a stream=none usage=false num_ctx=0 empty=true"}));
  EXPECT_EQ(ask_go("form", {"text/plain\n", "multipart/form-data; boundary=b\n--b--"}),
            (std::vector<std::string>{"refused", "ok 0"}));
}

}  // namespace drover::wire
