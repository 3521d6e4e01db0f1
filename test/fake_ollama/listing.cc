#include "fake_ollama/listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "fake_ollama/wall_text.h"
#include "fake_ollama/writer.h"

namespace drover::fake {
namespace {

constexpr std::int64_t kCreated = 1'769'860'800;  // the default modified_at

std::string details_json(const FakeModel& model) {
  const std::string_view family = model.embeds ? "nomic-bert" : "llama";
  return fmt::format(R"({{"parent_model":"","format":"gguf","family":"{}","families":["{}"],)"
                     R"("parameter_size":"{:.1f}B","quantization_level":"Q4_K_M"}})",
                     family, family, static_cast<double>(model.bytes) / 6e8);
}

std::string tags_json(const State& state) {
  std::vector<const FakeModel*> models;
  for (const FakeModel& model : state.options.models) models.push_back(&model);
  std::stable_sort(models.begin(), models.end(), [](const FakeModel* a, const FakeModel* b) {
    return a->modified_at > b->modified_at;  // newest first
  });
  std::string out = R"({"models":[)";
  for (const FakeModel* model : models) {
    if (!out.ends_with('[')) out += ',';
    out += fmt::format(R"({{"name":{0},"model":{0},"modified_at":"{1}","size":{2},)"
                       R"("digest":"{3}","details":{4}}})",
                       json_quoted(model->name), model->modified_at, model->bytes, model->digest,
                       details_json(*model));
  }
  return out + "]}";
}

// A model that still loads is not listed.
std::string ps_json(State& state) {
  const bool on_cpu = state.faults.active(FaultKind::kCpuFallback);
  std::string out = R"({"models":[)";
  for (const Scheduler::Runner* runner : state.scheduler->loaded()) {
    const Instant expiry = state.scheduler->expiry_of(*runner);
    WallTime expires = state.loop.wall_now();
    // 292 years are what Go's duration can hold.
    expires.unix_nanos =
        expiry == kNever ? INT64_MAX : expires.unix_nanos + (expiry - state.loop.now()).count();
    if (!out.ends_with('[')) out += ',';
    out += fmt::format(R"({{"name":{0},"model":{0},"size":{1},"digest":"{2}","details":{3},)"
                       R"("expires_at":"{4}","size_vram":{5},"context_length":{6}}})",
                       json_quoted(runner->model.name), runner->model.bytes, runner->model.digest,
                       details_json(runner->model), rfc3339(expires), on_cpu ? 0 : runner->vram,
                       runner->context_length);
  }
  return out + "]}";
}

std::string v1_model_json(const FakeModel& model) {
  return fmt::format(R"({{"id":{},"object":"model","created":{},"owned_by":"library"}})",
                     json_quoted(model.name), kCreated);
}

std::string v1_models_json(const State& state) {
  std::string data;
  for (const FakeModel& model : state.options.models) {
    data += (data.empty() ? "[" : ",") + v1_model_json(model);
  }
  data = data.empty() ? "null" : data + "]";
  return R"({"object":"list","data":)" + data + "}";
}

std::string show_json(const FakeModel& model) {
  const std::string_view family = model.embeds ? "nomic-bert" : "llama";
  const std::string_view capabilities =
      model.embeds ? R"(["embedding"])" : R"(["completion","tools","vision"])";
  return fmt::format(
      R"({{"license":"none: a simulated model","modelfile":"FROM {0}\n","parameters":"",)"
      R"("template":"{{{{ .Prompt }}}}","details":{1},"model_info":{{)"
      R"("general.architecture":"{2}","general.parameter_count":{3},)"
      R"("{2}.context_length":131072,"{2}.embedding_length":{4}}},)"
      R"("capabilities":{5},"modified_at":"{6}"}})",
      model.name, details_json(model), family, model.bytes / 2, 16, capabilities,
      model.modified_at);
}

// The one segment of /v1/models/NAME: clients may write its colon as %3A.
std::string decoded(std::string_view segment) {
  std::string out;
  for (std::size_t i = 0; i < segment.size(); ++i) {
    unsigned value = 0;
    const char* digits = segment.data() + i + 1;
    if (segment[i] == '%' && i + 2 < segment.size() &&
        std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += segment[i];
    }
  }
  return out;
}

void answer_show(State& state, Connection& connection, const Request& request) {
  StoreRequest asked;
  if (const auto bad = read_store_request(request.body, asked)) {
    connection.answer(bad->status, kJsonType, error_body(Dialect::kNative, 400, bad->text));
    return;
  }
  if (asked.model.empty()) {
    connection.answer(400, kJsonType, error_body(Dialect::kNative, 400, "model is required"));
    return;
  }
  const FakeModel* model = state.find_model(asked.model);
  if (model == nullptr) {
    const std::string text = fmt::format("model '{}' not found", asked.model);
    connection.answer(404, kJsonType, error_body(Dialect::kNative, 404, text));
    return;
  }
  connection.answer(200, kJsonType, show_json(*model));
}

}  // namespace

void answer_listing(State& state, Connection& connection, const Request& request, Route route) {
  switch (route) {
    case Route::kRoot:
      connection.answer(200, "text/plain; charset=utf-8", "Ollama is running");
      break;
    case Route::kVersion:
      connection.answer(
          200, kJsonType,
          fmt::format(R"({{"version":{},"simulated":true}})", json_quoted(state.options.version)));
      break;
    case Route::kStatus:
      connection.answer(200, kJsonType, R"({"cloud":{"disabled":true,"source":"env"}})");
      break;
    case Route::kTags:
      connection.answer(200, kJsonType, tags_json(state));
      break;
    case Route::kPs:
      connection.answer(200, kJsonType, ps_json(state));
      break;
    case Route::kV1Models:
      connection.answer(200, kJsonType, v1_models_json(state));
      break;
    case Route::kV1Model: {
      constexpr std::string_view kPrefix = "/v1/models/";
      const std::string name = decoded(std::string_view(request.path).substr(kPrefix.size()));
      const FakeModel* model = state.find_model(name);
      if (model == nullptr) {
        const std::string text = fmt::format("model '{}' not found", name);
        connection.answer(404, kJsonType, error_body(Dialect::kOpenAi, 404, text));
      } else {
        connection.answer(200, kJsonType, v1_model_json(*model));
      }
      break;
    }
    default:
      answer_show(state, connection, request);
      break;
  }
}

}  // namespace drover::fake
