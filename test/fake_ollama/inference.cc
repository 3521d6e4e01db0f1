#include "fake_ollama/inference.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "fake_ollama/generation.h"
#include "fake_ollama/text.h"
#include "fake_ollama/writer.h"

namespace drover::fake {
namespace {

void refuse(Connection& connection, Route route, int status, std::string_view text) {
  connection.answer(status, kJsonType, error_body(dialect_of(route), status, text));
}

// The model, or an answer that there is none that could do this.
const FakeModel* choose_model(const State& state, Connection& connection, const Wanted& wanted) {
  const FakeModel* model = state.find_model(wanted.model);
  if (model == nullptr) {
    const bool embeds = is_embedding(wanted.route);
    refuse(connection, wanted.route, 404,
           embeds ? fmt::format("model \"{}\" not found, try pulling it first", wanted.model)
                  : fmt::format("model '{}' not found", wanted.model));
    return nullptr;
  }
  if (model->embeds && !is_embedding(wanted.route)) {
    const bool generates =
        wanted.route == Route::kGenerate || wanted.route == Route::kV1Completions;
    refuse(
        connection, wanted.route, 400,
        fmt::format("\"{}\" does not support {}", wanted.model, generates ? "generate" : "chat"));
    return nullptr;
  }
  return model;
}

// Ollama's default by the memory that it sees.
std::uint64_t default_context(std::uint64_t vram_bytes) {
  constexpr std::uint64_t kGiB = 1ull << 30;
  if (vram_bytes >= 47 * kGiB) return 262144;
  return vram_bytes >= 23 * kGiB ? 32768 : 4096;
}

Demand demand_of(const State& state, const FakeModel& model, const Wanted& wanted) {
  Demand demand;
  demand.model = model;
  demand.load_options = wanted.load_options;
  demand.context_length = wanted.num_ctx.value_or(default_context(state.options.vram_bytes));
  demand.keep_alive = wanted.keep_alive;
  return demand;
}

// Load and unload: one JSON object, also when a stream was asked for.
void answer_empty(const State& state, Connection& connection, const Wanted& wanted,
                  std::string_view reason, Duration load) {
  const auto writer = make_writer(wanted, {state.loop, "load"});
  Finish finish;
  finish.done_reason = reason;
  finish.load = load;
  finish.total = load;
  connection.answer(200, kJsonType, writer->document("", nullptr, finish));
}

std::string embeddings_json(const State& state, const Wanted& wanted, const Finish& finish) {
  const std::size_t dimension = wanted.dimensions == 0
                                    ? kEmbeddingDimension
                                    : std::min(wanted.dimensions, kEmbeddingDimension);
  std::string list;
  for (std::size_t i = 0; i < wanted.inputs.size(); ++i) {
    const auto values = embedding(state.options.seed, wanted.inputs[i], dimension);
    const std::string vector = wanted.base64 ? "\"" + base64_floats(values) + "\""
                                             : fmt::format("[{}]", fmt::join(values, ","));
    if (i > 0) list += ',';
    list += wanted.route != Route::kV1Embeddings
                ? vector
                : fmt::format(R"({{"object":"embedding","embedding":{},"index":{}}})", vector, i);
  }
  const std::string model = json_quoted(wanted.model);
  switch (wanted.route) {
    case Route::kEmbeddings:
      return fmt::format(R"({{"embedding":{}}})", list.empty() ? "[]" : list);
    case Route::kEmbed:
      return fmt::format(R"({{"model":{},"embeddings":[{}],"total_duration":{},)"
                         R"("load_duration":{},"prompt_eval_count":{}}})",
                         model, list, finish.total.count(), finish.load.count(),
                         finish.prompt_tokens);
    default:
      return fmt::format(R"({{"object":"list","data":[{}],"model":{},)"
                         R"("usage":{{"prompt_tokens":{},"total_tokens":{}}}}})",
                         list, model, finish.prompt_tokens, finish.prompt_tokens);
  }
}

// Where the request stands, so that a client that leaves is noted with the right word.
class Passage {
 public:
  Passage(State& state, Connection& connection, const Request& request)
      : state_(state), connection_(connection), request_(request) {}
  void left(std::string_view phase, std::uint64_t tokens) {
    if (connection_.client_left()) state_.note_cancel(request_.path, phase, tokens);
  }

 private:
  State& state_;
  Connection& connection_;
  const Request& request_;
};

}  // namespace

net::Task<void> answer_inference(State& state, Connection& connection, const Request& request,
                                 Route route) {
  net::Loop& loop = state.loop;
  net::Cancel& gone = connection.gone();
  const Instant began = loop.now();
  if (request.find("content-encoding")) {
    refuse(connection, Route::kGenerate, 400, "invalid zstd body");  // native shape on every route
    co_return;
  }
  Wanted wanted;
  if (const auto bad = read_wanted(route, request.body, wanted)) {
    refuse(connection, route, bad->status, bad->text);
    co_return;
  }
  const FakeModel* model = choose_model(state, connection, wanted);
  if (model == nullptr) co_return;

  Passage passage(state, connection, request);
  const bool to_say = !wanted.empty || is_embedding(route);
  if (!to_say && wanted.unloads()) {
    state.scheduler->unload(model->digest);
    answer_empty(state, connection, wanted, "unload", {});
    ++state.completed;
    co_return;
  }

  // From here on the client may leave at every wait. No byte of the answer exists before the first
  // token does.
  auto outcome = co_await state.scheduler->acquire(demand_of(state, *model, wanted), gone);
  if (outcome.answer == Scheduler::Answer::kBusy) {
    refuse(connection, route, 503, kBusyText);
    co_return;
  }
  if (outcome.answer == Scheduler::Answer::kGone) {
    passage.left(outcome.was_loading ? "loading" : "waiting", 0);
    co_return;
  }
  Scheduler::Grant grant = std::move(outcome.grant);
  Generation generation(state, wanted, request);
  generation.finish.load = loop.now() - began;
  if (!to_say) {
    answer_empty(state, connection, wanted, "load", generation.finish.load);
    ++state.completed;
    co_return;
  }
  const bool has_slot = co_await state.scheduler->take_slot(grant, gone);
  if (!has_slot) {
    passage.left("waiting", 0);
    co_return;
  }
  const net::WaitResult prefilled = co_await loop.sleep_for(generation.prefill(), &gone);
  if (prefilled == net::WaitResult::kCancelled) {
    passage.left("prefill", 0);
    co_return;
  }
  generation.began = began;
  if (!grant.runner().alive()) {
    refuse(connection, route, 500, error_text("runner_stopped"));
    co_return;
  }
  generation.runner = &grant.runner();
  if (is_embedding(route)) {
    generation.finish.total = loop.now() - began;
    connection.answer(200, kJsonType, embeddings_json(state, wanted, generation.finish));
    ++state.completed;
    co_return;
  }
  const bool whole = co_await generate(generation, connection);
  if (whole) ++state.completed;
  if (!whole) passage.left("generating", generation.sent);
}

}  // namespace drover::fake
