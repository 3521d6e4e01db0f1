// A body that the gate has let pass, changed for its instance: with the usage asked for, and with
// another context and without other options of the model. What is sent still passes the gate, names
// the same model, and says what it was changed to say; what was not changed, it says as before.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/runner_options.h"
#include "gateway/usage_wish.h"
#include "wire/http_fuzz_pieces.h"
#include "wire/json_fuzz_grammar.h"
#include "wire/json_fuzz_judge.h"

namespace drover::gateway {
namespace {

using NumCtx = core::VariantOrder::NumCtx;
using Options = wire::OptionPlaces::Options;
using wire::RequestFacts;
using wire::require;

Result<RequestFacts> inspect(std::string_view body) {
  wire::RequestInspector inspector;
  (void)inspector.feed(body);
  return inspector.finish();
}

RequestFacts inspect_again(const std::string& body) {
  Result<RequestFacts> facts = inspect(body);
  require(facts.ok(), "what is sent passes the gate");
  require(facts->edits.empty(), "in the usual spelling");
  return *std::move(facts);
}

std::string text_of(const BodyStore& body) {
  std::string text;
  std::string room(4096, '\0');
  BodyStore::Cursor cursor;
  for (;;) {
    const Result<std::string_view> piece = body.read(cursor, room);
    require(piece.ok(), "a small body is in memory");
    if (piece->empty()) break;
    text += *piece;
  }
  require(text.size() == body.sent_bytes(), "as long as it was announced");
  return text;
}

void check_same(const RequestFacts& was, const RequestFacts& is) {
  require(is.model == was.model && is.stream == was.stream, "the same model, the same stream");
  require(is.empty_prompt == was.empty_prompt && is.has_tools == was.has_tools,
          "the same question");
  require(is.kept_alive == was.kept_alive, "kept as long");
}

void check_usage(std::string_view input, const RequestFacts& facts) {
  RequestFacts wished = facts;
  const bool asked = ask_for_usage(wished);
  require(asked || wished.edits.size() == facts.edits.size(), "either asked or left alone");
  const RequestFacts sent = inspect_again(wire::edited(std::string(input), wished.edits));
  check_same(facts, sent);
  require(sent.num_ctx == facts.num_ctx, "the context is as it was");
  require(sent.include_usage == (asked || facts.include_usage), "the usage is asked for");
  RequestFacts again = sent;
  require(!asked || !ask_for_usage(again), "once is enough");
}

void check_options(std::string_view input, const RequestFacts& facts,
                   const core::VariantOrder& order) {
  const Limits limits;
  KeptRequest kept(limits, nullptr);
  require(kept.body.append(input).ok(), "kept");
  kept.body.set_edits(facts.edits);
  kept.options = facts.places;
  set_runner_options(kept, order);
  const std::string text = text_of(kept.body);
  // "NUM_CTX" is no option to Ollama, and may stand beside one that is; the gate is stricter.
  const bool sets_anew = order.num_ctx == NumCtx::kSet && facts.places.num_ctx.length == 0;
  const Result<RequestFacts> judged = inspect(text);
  if (sets_anew && !judged) {
    return require(judged.error().message.find("given twice") != std::string::npos, "only that");
  }
  const RequestFacts sent = inspect_again(text);
  check_same(facts, sent);
  require(sent.include_usage == facts.include_usage, "the usage is as it was");
  const bool wrong = facts.places.num_ctx_is_wrong || facts.places.options == Options::kOther;
  if (wrong) {
    require(sent.places.num_ctx_is_wrong == facts.places.num_ctx_is_wrong, "still wrong");
  } else if (order.num_ctx == NumCtx::kSet) {
    require(sent.num_ctx == order.tokens, "the context that was set");
  } else {
    const bool out = order.num_ctx == NumCtx::kLeftOut;
    require(sent.num_ctx == (out ? std::nullopt : facts.num_ctx), "left out, or as it was");
  }
  const std::uint32_t others = order.others_left_out ? 0 : facts.other_runner_options;
  require(sent.other_runner_options == others, "the other options");
  // Anew for the next attempt.
  set_runner_options(kept, {});
  require(text_of(kept.body) == wire::edited(std::string(input), facts.edits), "as it was sent");
}

void check(std::string_view input) {
  const Result<RequestFacts> facts = inspect(input);
  // Without a model nobody is asked.
  if (!facts || facts->model.value_or("").empty()) return;
  check_usage(input, *facts);
  for (const NumCtx num_ctx : {NumCtx::kAsSent, NumCtx::kLeftOut, NumCtx::kSet}) {
    for (const bool others : {false, true}) check_options(input, *facts, {num_ctx, others, 8192});
  }
}

}  // namespace
}  // namespace drover::gateway

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  drover::gateway::check({reinterpret_cast<const char*>(data), size});
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return drover::wire::GrammarMutation(drover::wire::kJsonGrammar, seed)
      .apply(data, size, max_size);
}
