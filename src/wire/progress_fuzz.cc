// Lines of progress that up to four stores say in turn: each is read as another parser reads it,
// and what clients hear of them is JSON, speaks of the part that it should, and never goes back.
//
// The first byte is how many stores there are, whether they are told by name, and how they end.

#include "wire/progress.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "wire/http_fuzz_pieces.h"
#include "wire/json_fuzz_grammar.h"
#include "wire/json_fuzz_judge.h"

namespace drover::wire {
namespace {

constexpr std::size_t kMaxText = 1024;

constexpr std::string_view kLines[] = {
    "{\"status\":\"pulling manifest\"}\n",
    "{\"status\":\"pulling a\",\"digest\":\"sha256:a\",\"total\":100}\n",
    "{\"status\":\"pulling a\",\"digest\":\"sha256:a\",\"total\":100,\"completed\":40}\n",
    "{\"status\":\"pulling a\",\"digest\":\"sha256:a\",\"total\":90,\"completed\":99}\n",
    "{\"digest\":\"\",\"total\":18446744073709551615}\n",
    "{\"digest\":\"b\",\"total\":18446744073709551615,\"completed\":18446744073709551615}\n",
    "{\"status\":\"success\"}\n",
    "{\"error\":\"e\"}\n",
    "{\"status\":null,\"total\":-1,\"completed\":1.5}\n",
    "{\"drover_stores\":{\"s0\":1,\"s1\":2}}\n",
    "[]\n",
    "\n",
};
constexpr FuzzGrammar kGrammar{"\n", kLines, kJsonWords};

// The beginning of a long text is kept.
bool is_beginning(std::string_view kept, std::string_view text) {
  return text.size() <= kMaxText ? kept == text : text.starts_with(kept);
}

void check_reading(std::string_view line, const Result<ProgressLine>& read) {
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  const auto error = parser.parse(std::string(line)).get(document);
  if (!read || is_known_difference(error, line)) return;
  require(error == simdjson::SUCCESS && document.is_object(), "a line is a JSON object");
  std::map<std::string_view, std::string_view> texts;
  std::map<std::string_view, std::uint64_t> numbers;
  for (const auto& [key, value] : document.get_object()) {
    std::uint64_t number = 0;
    if (value.is_string()) texts[key] = std::string_view(value);
    if (!value.is_number()) continue;
    numbers[key] = value.get(number) == simdjson::SUCCESS ? number : 0;
  }
  require(is_beginning(read->status, texts["status"]), "the status");
  require(is_beginning(read->digest, texts["digest"]), "the digest");
  require(is_beginning(read->error, texts["error"]), "the error");
  require(read->total == numbers["total"] && read->completed == numbers["completed"], "numbers");
}

class Stores {
 public:
  Stores(std::size_t count, bool named) : count_(count), named_(named), merge_(merged()) {}

  void take(std::size_t store, const ProgressLine& line, std::string_view raw) {
    std::vector<ProgressMerge::Told> told;
    merge_.take(store, line, raw, told);
    hear(told);
  }
  void end(std::size_t store, ProgressMerge::How how) {
    std::vector<ProgressMerge::Told> told;
    merge_.ended(store, how, told);
    if (count_ > 1) hear(told);
  }
  void join() const {
    if (count_ == 1) return;
    for (const ProgressMerge::Told& each : merge_.so_far()) {
      require(each.line.empty() || read_progress(each.line).ok(), "who joins hears JSON");
    }
  }

 private:
  ProgressMerge merged() const {
    if (!named_) return ProgressMerge(count_);
    return ProgressMerge({"s0", "s\"1", "s2", "s3"});
  }

  // What a single store says passes as it is, so only what several say is ours.
  void hear(const std::vector<ProgressMerge::Told>& told) {
    if (count_ == 1) return;
    for (const ProgressMerge::Told& each : told) {
      const auto line = read_progress(each.line);
      require(line.ok(), "what clients hear is JSON");
      require(line->digest.substr(0, 300) == each.key.substr(0, 300), "of that part");
      if (each.key.empty()) continue;
      require(line->completed <= line->total, "no more than all");
      auto& [total, completed] = heard_[each.key];
      require(line->total >= total && line->completed >= completed, "numbers only grow");
      total = line->total;
      completed = line->completed;
      std::uint64_t sum = 0;
      for (const auto& [name, bytes] : read_shares(each.line)) sum += bytes;
      require(!named_ || sum == completed, "the shares are the sum");
    }
  }

  std::size_t count_;
  bool named_;
  ProgressMerge merge_;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> heard_;
};

void check(std::uint8_t first, std::string_view input) {
  const bool named = (first & 4U) != 0;
  const std::size_t count = named ? 4 : 1 + first % 4;
  Stores stores(count, named);
  std::size_t turn = 0;
  while (!input.empty()) {
    const std::size_t end = std::min(input.find('\n'), input.size());
    const std::string_view line = input.substr(0, end);
    input.remove_prefix(std::min(end + 1, input.size()));
    const Result<ProgressLine> read = read_progress(line);
    check_reading(line, read);
    (void)read_shares(line);
    if (read && read->error.empty()) stores.take(turn++ % count, *read, line);
  }
  stores.join();
  for (std::size_t i = 0; i < count; ++i) {
    const bool failed = (first >> (4 + i) & 1U) != 0;
    stores.end(i, failed ? ProgressMerge::How::kFailed : ProgressMerge::How::kWell);
    stores.join();
  }
}

}  // namespace
}  // namespace drover::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  drover::wire::check(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return drover::wire::GrammarMutation(drover::wire::kGrammar, seed).apply(data, size, max_size);
}
