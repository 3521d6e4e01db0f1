#include "fake_ollama/faults.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <array>

#include "fake_ollama/bad_http.h"
#include "fake_ollama/writer.h"

namespace drover::fake {
namespace {

struct KindRow {
  std::string_view name;
  FaultKind kind;
  std::string_view match;
  std::int64_t count;
};

constexpr std::string_view kInference = "inference";

constexpr std::array<KindRow, 19> kKinds = {{
    {"refuse", FaultKind::kRefuse, "", 1},
    {"crash", FaultKind::kCrash, "", 1},
    {"reset", FaultKind::kReset, kInference, 1},
    {"hang", FaultKind::kHang, kInference, 1},
    {"wedge_ps", FaultKind::kWedgePs, "/api/ps", -1},
    {"wedge_all", FaultKind::kWedgeAll, "/", -1},
    {"error500", FaultKind::kError, kInference, 1},
    {"busy", FaultKind::kBusy, kInference, 1},
    {"html", FaultKind::kHtml, "/api/tags", 1},
    {"bad_http", FaultKind::kBadHttp, kInference, 1},
    {"reset_mid", FaultKind::kResetMid, kInference, 1},
    {"hang_mid", FaultKind::kHangMid, kInference, 1},
    {"error_mid", FaultKind::kErrorMid, kInference, 1},
    {"cut", FaultKind::kCut, kInference, 1},
    {"cut_raw", FaultKind::kCutRaw, kInference, 1},
    {"missing_done", FaultKind::kMissingDone, kInference, 1},
    {"slow_tokens", FaultKind::kSlowTokens, kInference, 1},
    {"cpu_fallback", FaultKind::kCpuFallback, kInference, -1},
    {"slow_load", FaultKind::kSlowLoad, kInference, 1},
}};

struct ErrorRow {
  std::string_view variant;
  std::string_view text;
};

// Texts of both generations: with llama-server as child (0.30 and later) and before ("old_").
constexpr std::array<ErrorRow, 15> kErrors = {{
    {"runner_stopped",
     "model runner has unexpectedly stopped, this may be due to resource limitations or an "
     "internal error, check ollama server logs for details"},
    {"load_failed",
     "llama-server process has terminated: exit status 1: error loading model: unable to load "
     "model"},
    {"load_gone", "llama-server process no longer running: 1 error loading model"},
    {"load_timeout", "timed out waiting for llama-server to start - loading model"},
    {"oom", "llama-server process has terminated: exit status 1: cudaMalloc failed: out of memory"},
    {"oom_startup",
     "llama-server reported out-of-memory during startup: failed to allocate buffer"},
    {"incompatible",
     "llama-server process has terminated: exit status 1: error loading model: this model may be "
     "incompatible with your version of Ollama. If you previously pulled this model, try updating "
     "it by running `ollama pull llama3.2`"},
    {"no_slots", "no slots available after 10 retries"},
    {"llm_busy", "unexpected server status: llm busy - no slots available"},
    {"not_responding", "unexpected server status: llm server not responding"},
    {"no_binary",
     "error starting llama-server: llama-server binary not found (checked: /usr/lib/ollama)"},
    {"old_runner_terminated", "llama runner process has terminated: exit status 2"},
    {"old_runner_gone", "llama runner process no longer running: 2"},
    {"old_load_timeout", "timed out waiting for llama runner to start - progress 0.00 - "},
    {"old_oom", "llama runner process has terminated: cudaMalloc failed: out of memory"},
}};

constexpr Duration kLongestPause = std::chrono::hours(24);

const KindRow* row_of(std::string_view name) {
  for (const KindRow& row : kKinds) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

std::string_view name_of(FaultKind kind) {
  for (const KindRow& row : kKinds) {
    if (row.kind == kind) return row.name;
  }
  return "";
}

template <class Rows, class Name>
std::string names(const Rows& rows, Name name) {
  std::string out;
  for (const auto& row : rows) out += (out.empty() ? "" : ", ") + std::string(row.*name);
  return out;
}

bool fits(const Fault& fault, const FaultTarget& target) {
  if (fault.match == kInference ? !target.inference : !target.path.starts_with(fault.match)) {
    return false;
  }
  return fault.model.empty() || target.body.find(fault.model) != std::string_view::npos;
}

// Reads one field into the fault. False when it is unknown or of the wrong type.
bool read_field(std::string_view key, const simdjson::dom::element& value, Fault& fault) {
  std::string_view text;
  double number = 0;
  if (value.get(text) == simdjson::SUCCESS) {
    if (key == "match")
      fault.match = text;
    else if (key == "model")
      fault.model = text;
    else if (key == "variant")
      fault.variant = text;
    else if (key == "text")
      fault.text = text;
    else
      return key == "kind";
    return true;
  }
  if (value.get(number) != simdjson::SUCCESS || number < -1 || number > 1e15) return false;
  if (key == "count")
    fault.count = static_cast<std::int64_t>(number);
  else if (key == "after_tokens")
    fault.after_tokens = static_cast<std::uint64_t>(number);
  else if (key == "status")
    fault.status = static_cast<int>(number);
  else if (key == "ms") {
    const double most = std::chrono::duration<double, std::milli>(kLongestPause).count();
    if (number < 0 || number > most) return false;
    fault.pause = Duration(static_cast<std::int64_t>(number * 1e6));
  } else {
    return false;
  }
  return true;
}

// Empty, or why this combination means nothing.
std::string check(const Fault& fault) {
  if (fault.kind == FaultKind::kError && fault.text.empty() && error_text(fault.variant).empty()) {
    return "error500 wants a variant: " + names(kErrors, &ErrorRow::variant);
  }
  if (fault.kind == FaultKind::kBadHttp && !is_bad_http_variant(fault.variant)) {
    return "bad_http wants a variant: " + bad_http_variants();
  }
  if (fault.status < 400 || fault.status > 599) return "status is not an error";
  return {};
}

}  // namespace

std::string_view error_text(std::string_view variant) {
  for (const ErrorRow& row : kErrors) {
    if (row.variant == variant) return row.text;
  }
  return {};
}

std::string FaultList::add(const std::string& json, Fault& added) {
  simdjson::dom::parser parser;
  simdjson::dom::object fields;
  if (parser.parse(json).get(fields) != simdjson::SUCCESS) return "not a JSON object";
  std::string_view kind;
  const bool named = fields.at_key("kind").get(kind) == simdjson::SUCCESS;
  const KindRow* row = named ? row_of(kind) : nullptr;
  if (row == nullptr) return "kind is one of: " + names(kKinds, &KindRow::name);
  Fault fault;
  fault.kind = row->kind;
  fault.match = row->match;
  fault.count = row->count;
  for (const auto field : fields) {
    if (!read_field(field.key, field.value, fault)) {
      return fmt::format("field {} is unknown or has a wrong value", json_quoted(field.key));
    }
  }
  if (std::string wrong = check(fault); !wrong.empty()) return wrong;
  added = fault;
  const bool at_once = fault.kind == FaultKind::kRefuse || fault.kind == FaultKind::kCrash;
  if (!at_once && fault.count != 0) faults_.push_back(std::move(fault));
  return {};
}

std::optional<Fault> FaultList::take_answer(const FaultTarget& target) {
  return take_between(FaultKind::kReset, FaultKind::kBadHttp, target);
}

std::optional<Fault> FaultList::take_generation(const FaultTarget& target) {
  return take_between(FaultKind::kResetMid, FaultKind::kSlowTokens, target);
}

std::optional<Fault> FaultList::take(FaultKind kind, const FaultTarget& target) {
  return take_between(kind, kind, target);
}

std::optional<Fault> FaultList::take_between(FaultKind first, FaultKind last,
                                             const FaultTarget& target) {
  for (auto it = faults_.begin(); it != faults_.end(); ++it) {
    if (it->kind < first || it->kind > last || !fits(*it, target)) continue;
    Fault fault = *it;
    ++taken_;
    if (it->count > 0 && --it->count == 0) faults_.erase(it);
    return fault;
  }
  return std::nullopt;
}

bool FaultList::active(FaultKind kind) const {
  for (const Fault& fault : faults_) {
    if (fault.kind == kind) return true;
  }
  return false;
}

std::string FaultList::json() const {
  std::string out = "[";
  for (const Fault& fault : faults_) {
    if (out.size() > 1) out += ',';
    out += fmt::format(R"({{"kind":"{}","count":{},"match":{}}})", name_of(fault.kind), fault.count,
                       json_quoted(fault.match));
  }
  return out + "]";
}

}  // namespace drover::fake
