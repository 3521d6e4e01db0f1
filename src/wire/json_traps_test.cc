// The table of JSON traps against the inspector, and what it forwards against Go's own decoder,
// which is the reader that counts: Ollama's.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/rng.h"
#include "wire/json_scan.h"
#include "wire/json_trap_table.h"
#include "wire/testing.h"

namespace drover::wire {
namespace {

namespace fs = std::filesystem;

Result<RequestFacts> inspect(std::string_view body) {
  RequestInspector inspector;
  (void)inspector.feed(body);
  return inspector.finish();
}

std::string forwarded(std::string body, const RequestFacts& facts) {
  for (auto edit = facts.edits.rbegin(); edit != facts.edits.rend(); ++edit) {
    body.replace(edit->offset, edit->length, edit->text);
  }
  return body;
}

TEST(JsonTraps, EachHasItsVerdictAndGoesOnByteForByte) {
  for (const JsonTrap& trap : json_traps()) {
    SCOPED_TRACE(trap.name);
    const Result<RequestFacts> facts = inspect(trap.body);
    if (!trap.refusal.empty()) {
      ASSERT_FALSE(facts.ok());
      EXPECT_EQ(facts.error().kind, ErrorKind::kMalformed);
      EXPECT_NE(facts.error().message.find(trap.refusal), std::string::npos)
          << facts.error().message;
      continue;
    }
    ASSERT_TRUE(facts.ok()) << facts.error().message;
    EXPECT_EQ(facts->model, "llama3.2");
    const std::string sent = forwarded(trap.body, *facts);
    EXPECT_EQ(sent, trap.forwarded.empty() ? trap.body : trap.forwarded);
    EXPECT_TRUE(inspect(sent)->edits.empty());
  }
}

// --- against Go ---

// What test/go_json prints about one body.
std::string facts_line(const RequestFacts& facts) {
  std::ostringstream out;
  out << "ok model=" << in_hex(facts.model.value_or(""))
      << " stream=" << (facts.stream ? (*facts.stream ? "true" : "false") : "none")
      << " usage=" << (facts.include_usage ? "true" : "false")
      << " num_ctx=" << facts.num_ctx.value_or(0)
      << " empty=" << (facts.empty_prompt ? "true" : "false");
  return out.str();
}

std::string pick(Rng& rng, const std::vector<std::string>& from) {
  return from[rng.below(from.size())];
}

std::string random_object(Rng& rng, int depth) {
  static const std::vector<std::string> kKeys = {"model",
                                                 "Model",
                                                 "MODEL",
                                                 "mod\\u0065l",
                                                 "name",
                                                 "NAME",
                                                 "stream",
                                                 "Stream",
                                                 "\xC5\xBFtream",
                                                 "\\u017ftream",
                                                 "options",
                                                 "Options",
                                                 "option\xC5\xBF",
                                                 "num_ctx",
                                                 "NUM_CTX",
                                                 "num\\u005fctx",
                                                 "stream_options",
                                                 "Stream_Options",
                                                 "include_usage",
                                                 "INCLUDE_USAGE",
                                                 "prompt",
                                                 "Prompt",
                                                 "messages",
                                                 "me\xC5\xBF\xC5\xBF"
                                                 "ages",
                                                 "keep_alive",
                                                 "\xE2\x84\xAA"
                                                 "eep_alive",
                                                 "x",
                                                 "",
                                                 "model\\u0000",
                                                 " model"};
  static const std::vector<std::string> kValues = {"\"a\"",
                                                   "\"\"",
                                                   "\"\\u0061\\ud83d\\ude00\"",
                                                   "\"b:c\"",
                                                   "null",
                                                   "true",
                                                   "false",
                                                   "0",
                                                   "1",
                                                   "8192",
                                                   "8192.0",
                                                   "8.192e3",
                                                   "-1",
                                                   "0.5",
                                                   "-0",
                                                   "12345678901234567890",
                                                   "[]",
                                                   "[1]",
                                                   "[{}]",
                                                   "{}",
                                                   "\"\\ud800\""};
  static const std::vector<std::string> kSpace = {"", "", "", " ", "\n", "\t\r\n"};
  std::string out = "{";
  const std::uint64_t keys = rng.below(5);
  for (std::uint64_t i = 0; i < keys; ++i) {
    if (i > 0) out += ",";
    out += pick(rng, kSpace) + '"' + pick(rng, kKeys) + '"' + pick(rng, kSpace) + ':';
    const bool nested = depth < 2 && rng.below(3) == 0;
    out += pick(rng, kSpace) + (nested ? random_object(rng, depth + 1) : pick(rng, kValues));
  }
  return out + pick(rng, kSpace) + "}";
}

std::string mutated(Rng& rng, std::string body) {
  for (std::uint64_t i = 0; i <= rng.below(3) && !body.empty(); ++i) {
    const std::size_t at = rng.below(body.size());
    switch (rng.below(4)) {
      case 0:
        body[at] = static_cast<char>(rng.below(256));
        break;
      case 1:
        body.erase(at, 1 + rng.below(8));
        break;
      case 2:
        body.insert(at, body.substr(rng.below(body.size()), rng.below(16)));
        break;
      default:
        body[at] = static_cast<char>(body[at] ^ 0x20);
        break;
    }
  }
  return body;
}

std::vector<std::string> corpus() {
  std::vector<std::string> all;
  for (const auto& entry : fs::directory_iterator("fuzz/corpus/json_request")) {
    std::ifstream file(entry.path(), std::ios::binary);
    all.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::vector<std::string> bodies() {
  std::vector<std::string> all = corpus();
  EXPECT_FALSE(all.empty());
  for (const JsonTrap& trap : json_traps()) all.push_back(trap.body);
  const std::size_t given = all.size();
  Rng rng(20261125);
  for (int i = 0; i < 20'000; ++i) all.push_back(random_object(rng, 0));
  for (int i = 0; i < 20'000; ++i) all.push_back(mutated(rng, all[rng.below(given)]));
  return all;
}

TEST(JsonTraps, WhatIsForwardedSaysToGoWhatItSaidToDrover) {
  if (!has_go()) GTEST_SKIP() << "no `go` on the PATH: drover's reading was not compared with Go's";
  std::vector<std::string> sent;
  std::vector<std::string> expected;
  for (const std::string& body : bodies()) {
    const Result<RequestFacts> facts = inspect(body);
    if (!facts.ok()) continue;
    sent.push_back(forwarded(body, *facts));
    expected.push_back(facts_line(*facts));
  }
  EXPECT_GT(sent.size(), 5'000U) << "else the bodies compare nothing";
  const std::vector<std::string> lines = ask_go("json", sent);
  std::size_t compared = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    // A value of another type than the field's: Ollama answers 400 and acts on nothing.
    if (lines[i] == "type") continue;
    ++compared;
    EXPECT_EQ(lines[i], expected[i]) << sent[i];
  }
  EXPECT_GT(compared, 2'000U);
  RecordProperty("compared", static_cast<int>(compared));
  std::printf("bodies read the same by drover and by Go: %zu\n", compared);
}

}  // namespace
}  // namespace drover::wire
