#include "wire/document.h"

#include <simdjson.h>

#include <optional>

#include "wire/answer_record.h"
#include "wire/plain_json.h"

namespace drover::wire {
namespace {

namespace dom = simdjson::dom;

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

bool is_unfinished(const dom::object& document) {
  std::string_view status;
  if (document["status"].get(status) == simdjson::SUCCESS) return status == "in_progress";
  dom::element stop;
  if (document["stop_reason"].get(stop) == simdjson::SUCCESS) return stop.is_null();
  dom::array list;
  if (document["choices"].get(list) != simdjson::SUCCESS) return false;
  for (const dom::element choice : list) {
    dom::element finish;
    if (choice["finish_reason"].get(finish) == simdjson::SUCCESS && finish.is_null()) return true;
  }
  return false;
}

// Most documents have none of these words. (The native "done_reason" is none of them; the ends of
// the words are looked for, because they begin with rare letters.)
bool may_be_unfinished(std::string_view body) {
  return body.find("h_reason\"") != std::string_view::npos ||
         body.find("p_reason\"") != std::string_view::npos ||
         body.find("_progress\"") != std::string_view::npos;
}

DocumentFacts facts_of(const RecordFacts& record, bool unfinished) {
  DocumentFacts out;
  out.valid = true;
  out.truncated = record.done_false || unfinished;
  out.has_error = record.has_error;
  if (record.has_error) out.error = error_text(record);
  out.usage = record.native;
  merge(out.usage, record.tokens);
  return out;
}

// The end of an answer in the dialects that say it elsewhere than in "done". Of several fields of
// one name the first counts.
struct Ends {
  std::optional<PlainValue> status;
  std::optional<PlainValue> stop_reason;
  std::optional<PlainValue> choices;

  void take(std::string_view key, const PlainValue& value) {
    if (key == "status" && !status) status = value;
    if (key == "stop_reason" && !stop_reason) stop_reason = value;
    if (key == "choices" && !choices) choices = value;
  }
  bool unfinished() const {
    if (status && status->is_text()) return status->text == "in_progress";
    if (stop_reason) return stop_reason->kind == PlainValue::Kind::kNull;
    if (!choices || choices->kind != PlainValue::Kind::kArray) return false;
    for (PlainContainer list(choices->text); list.next();) {
      if (list.value().kind == PlainValue::Kind::kObject && is_cut(list.value().text)) return true;
    }
    return false;
  }

 private:
  static bool is_cut(std::string_view choice) {
    for (PlainContainer fields(choice); fields.next();) {
      if (fields.key() != "finish_reason") continue;
      return fields.value().kind == PlainValue::Kind::kNull;
    }
    return false;
  }
};

}  // namespace

std::optional<DocumentFacts> read_plain_document(std::string_view body) {
  RecordFacts record;
  Ends ends;
  PlainContainer document(body);
  if (!document.is_object()) return std::nullopt;
  while (document.next()) {
    if (!read_plain_field(record, document.key(), document.value())) return std::nullopt;
    ends.take(document.key(), document.value());
  }
  if (!document.complete()) return std::nullopt;
  return facts_of(record, ends.unfinished());
}

DocumentFacts read_any_document(std::string_view body) {
  RecordReader record;
  const std::string_view rest = record.feed(body);
  if (!record.closed() || !is_blank(rest)) return {};
  if (!may_be_unfinished(body)) return facts_of(record.facts(), false);
  dom::parser parser;
  dom::object document;
  const simdjson::padded_string padded(body);
  const bool read = parser.parse(padded).get(document) == simdjson::SUCCESS;
  return facts_of(record.facts(), read && is_unfinished(document));
}

DocumentFacts read_document(std::string_view body) {
  std::optional<DocumentFacts> facts = read_plain_document(body);
  return facts ? *std::move(facts) : read_any_document(body);
}

}  // namespace drover::wire
