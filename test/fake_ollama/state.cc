#include "fake_ollama/state.h"

#include "base/model_name.h"
#include "base/rng.h"
#include "fake_ollama/text.h"

namespace drover::fake {
namespace {

constexpr Duration kUsualSlowLoad = std::chrono::seconds(5);

std::vector<FakeModel> usual_models() {
  return {{.name = "llama3.2:latest", .bytes = 2'000'000'000},
          {.name = "nomic-embed-text:latest", .bytes = 274'000'000, .embeds = true}};
}

}  // namespace

State::State(net::Loop& on, FakeOptions with)
    : loop(on), options(std::move(with)), started(on.now()) {
  if (options.models.empty()) options.models = usual_models();
  if (!options.directory.empty()) directory.emplace(options.directory);
  for (FakeModel& model : options.models) {
    if (model.digest.empty()) model.digest = digest_of(model);
    if (model.modified_at.empty()) model.modified_at = "2026-01-31T12:00:00.000000000Z";
  }
  Scheduler::Limits limits;
  limits.vram_bytes = options.vram_bytes;
  limits.parallel = options.parallel;
  limits.max_queue = options.max_queue;
  limits.max_loaded = options.max_loaded;
  limits.runner_processes = options.runner_processes;
  limits.keep_alive = options.keep_alive;
  limits.load_time = [this] {
    const auto slow = faults.take(FaultKind::kSlowLoad, {.path = "", .inference = true});
    return slow ? slow->pause.value_or(kUsualSlowLoad) : options.load_time;
  };
  scheduler = std::make_shared<Scheduler>(loop, std::move(limits));
}

const FakeModel* State::find_model(std::string_view name) const {
  const ModelName wanted = ModelName::canonical(name);
  if (wanted.empty()) return nullptr;
  for (const FakeModel& model : options.models) {
    if (ModelName::canonical(model.name) == wanted) return &model;
  }
  return nullptr;
}

void State::note_cancel(std::string_view path, std::string_view phase, std::uint64_t sent) {
  ++cancelled;
  if (cancels.size() == kCancelsKept) cancels.pop_front();
  cancels.push_back({loop.now(), loop.wall_now(), std::string(path), phase, sent});
}

void State::close_port(Duration pause) {
  closed_for = pause;
  closed_port.trigger(net::CancelReason::kShutdown);
}

void State::cut_connections(const Connection* spared) {
  for (Connection* connection : connections) {
    if (connection != spared) connection->cut();
  }
}

std::string digest_of(const FakeModel& model) {
  Rng rng(fnv1a(ModelName::canonical(model.name).text()));
  std::string digest;
  for (int i = 0; i < 4; ++i) digest += hex(rng.next(), 16);
  return digest;
}

}  // namespace drover::fake
