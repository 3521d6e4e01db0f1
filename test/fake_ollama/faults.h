#pragma once
// What goes wrong on command. A script posts {"kind":"reset_mid","count":2,"after_tokens":3,
// "match":"/api/chat"} to /fake/fault; each request that matches uses one up.
//
//   kind         default match   what the client sees
//   refuse       (at once)       nobody listens for `ms` (1000), then the port opens again
//   crash        (at once)       the same, and every connection is reset
//   reset        inference       a reset instead of an answer
//   hang         inference       no answer; with `ms` it comes after that time
//   wedge_ps     /api/ps         the same, until cleared
//   wedge_all    everything      the same, until cleared; only /fake/ answers
//   error500     inference       500 and a text of Ollama's, by `variant` (kErrors in faults.cc);
//                                `status` and `text` replace them; after `ms`
//   busy         inference       503 and the text of a full queue
//   html         /api/tags       200 with a page that is no JSON
//   bad_http     inference       not HTTP, by `variant` (bad_http_variants)
//   reset_mid    inference       a reset after `after_tokens` (3) tokens
//   hang_mid     inference       silence after them, the slot kept; with `ms` it goes on after that
//   error_mid    inference       the dialect's record of an error after them; 500 without a stream
//   cut          inference       a clean end after them without a terminal record; "done":false
//   cut_raw      inference       FIN after them, without a last chunk; half of a document
//   missing_done inference       every token, but no terminal record; "done":false
//   slow_tokens  inference       `ms` (1000) between tokens
//   cpu_fallback inference       20 times slower, size_vram 0, until cleared
//   slow_load    inference       a load takes `ms` (5000)
//
// `match` is a prefix of the path, "inference" every route that runs a model; `model` narrows it to
// requests that name it. `count` is 1 unless the table says "until cleared", which is -1.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace drover::fake {

enum class FaultKind : std::uint8_t {
  kRefuse,
  kCrash,  // of the process
  kReset,
  kHang,
  kWedgePs,
  kWedgeAll,
  kError,
  kBusy,
  kHtml,
  kBadHttp,  // of a whole answer
  kResetMid,
  kHangMid,
  kErrorMid,
  kCut,
  kCutRaw,
  kMissingDone,
  kSlowTokens,  // of a generation
  kCpuFallback,
  kSlowLoad,  // of the machine
};

struct Fault {
  FaultKind kind = FaultKind::kReset;
  std::int64_t count = 1;  // -1: until cleared
  std::uint64_t after_tokens = 3;
  std::string match;
  std::string model;              // empty: any
  std::optional<Duration> pause;  // "ms"
  std::string variant;
  std::string text;
  int status = 500;
};

// What a fault is asked for on: one request.
struct FaultTarget {
  std::string_view path;
  bool inference = false;
  std::string_view body;  // to find `model` in
};

class FaultList {
 public:
  // Adds what `json` says. Empty, or what is wrong with it. `added` gets a copy.
  std::string add(const std::string& json, Fault& added);
  void clear() { faults_.clear(); }

  // The first fault of a whole answer, or of a generation, that fits; used up by one.
  std::optional<Fault> take_answer(const FaultTarget& target);
  std::optional<Fault> take_generation(const FaultTarget& target);
  std::optional<Fault> take(FaultKind kind, const FaultTarget& target);
  bool active(FaultKind kind) const;
  // Used up so far, of all kinds.
  std::uint64_t taken() const { return taken_; }
  std::string json() const;

 private:
  std::optional<Fault> take_between(FaultKind first, FaultKind last, const FaultTarget& target);
  std::deque<Fault> faults_;
  std::uint64_t taken_ = 0;
};

// The text for a variant of error500; empty when there is none of that name.
std::string_view error_text(std::string_view variant);

}  // namespace drover::fake
