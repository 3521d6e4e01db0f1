#include "fake_ollama/store.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/model_name.h"
#include "fake_ollama/wall_text.h"
#include "fake_ollama/writer.h"

namespace drover::fake {
namespace {

constexpr int kPullSteps = 4;

void refuse(Connection& connection, int status, std::string_view text) {
  connection.answer(status, kJsonType, error_body(Dialect::kNative, status, text));
}

void add_model(State& state, const std::string& name, const FakeModel* like) {
  if (state.find_model(name) != nullptr) return;
  FakeModel model = like != nullptr ? *like : FakeModel{};
  model.name = name.find(':') == std::string::npos ? name + ":latest" : name;
  model.modified_at = rfc3339(state.loop.wall_now());
  if (like == nullptr) {
    model.embeds = name.find("embed") != std::string::npos;
    model.digest = digest_of(model);
  }
  state.options.models.push_back(std::move(model));
}

// Lines as they come, or one object at the end.
net::Task<bool> progress(State& state, Connection& connection, bool streaming,
                         std::vector<std::string> lines) {
  if (streaming) connection.begin_stream(200, "application/x-ndjson");
  for (const std::string& line : lines) {
    const net::WaitResult slept =
        co_await state.loop.sleep_for(state.options.token_time, &connection.gone());
    if (slept == net::WaitResult::kCancelled) co_return false;
    if (!streaming) continue;
    connection.chunk(line + "\n");
    const bool sent = co_await connection.drain();
    if (!sent) co_return false;
  }
  co_return true;
}

void succeed(Connection& connection, bool streaming) {
  constexpr std::string_view kSuccess = R"({"status":"success"})";
  if (streaming) {
    connection.end_stream(std::string(kSuccess) + "\n");
  } else {
    connection.answer(200, "application/json", kSuccess);
  }
}

std::vector<std::string> pull_lines(const FakeModel& model) {
  std::vector<std::string> lines = {R"({"status":"pulling manifest"})"};
  for (int i = 0; i <= kPullSteps; ++i) {
    lines.push_back(
        fmt::format(R"({{"status":"pulling {}","digest":"sha256:{}","total":{},"completed":{}}})",
                    model.digest.substr(0, 12), model.digest, model.bytes,
                    model.bytes * static_cast<std::uint64_t>(i) / kPullSteps));
  }
  lines.push_back(R"({"status":"verifying sha256 digest"})");
  lines.push_back(R"({"status":"writing manifest"})");
  return lines;
}

// pull, push and create: the same walk with other words. A name with "missing" exists nowhere.
net::Task<void> answer_transfer(State& state, Connection& connection, StoreRequest asked,
                                Route route) {
  const std::string& name = asked.model;
  const FakeModel* from = route == Route::kCreate ? state.find_model(asked.from) : nullptr;
  if (route == Route::kPush && state.find_model(name) == nullptr) {
    refuse(connection, 404, fmt::format("model '{}' not found", name));
    co_return;
  }
  if (route == Route::kPull && name.find("missing") != std::string::npos) {
    constexpr std::string_view kMissing = "pull model manifest: file does not exist";
    if (!asked.stream) {
      refuse(connection, 500, kMissing);
      co_return;
    }
    connection.begin_stream(200, "application/x-ndjson");
    connection.chunk("{\"status\":\"pulling manifest\"}\n");
    connection.end_stream(error_body(Dialect::kNative, 500, kMissing) + "\n");
    co_return;
  }
  FakeModel shown;
  shown.name = name;
  shown.digest = digest_of(shown);
  std::vector<std::string> lines = pull_lines(shown);
  if (route == Route::kCreate) {
    lines = {R"({"status":"parsing GGUF"})", R"({"status":"writing manifest"})"};
  }
  // A copy: the list of models may move while this waits.
  const std::optional<FakeModel> like = from != nullptr ? std::optional(*from) : std::nullopt;
  const bool done = co_await progress(state, connection, asked.stream, std::move(lines));
  if (!done) co_return;
  if (route != Route::kPush) add_model(state, name, like ? &*like : nullptr);
  succeed(connection, asked.stream);
}

void answer_copy(State& state, Connection& connection, const StoreRequest& asked) {
  const FakeModel* source = state.find_model(asked.source);
  if (source == nullptr) {
    refuse(connection, 404, fmt::format("model \"{}\" not found", asked.source));
    return;
  }
  const FakeModel like = *source;  // add_model moves the list
  add_model(state, asked.destination, &like);
  connection.answer(200, "", "");
}

void answer_delete(State& state, Connection& connection, const StoreRequest& asked) {
  if (state.find_model(asked.model) == nullptr) {
    refuse(connection, 404, fmt::format("model '{}' not found", asked.model));
    return;
  }
  const ModelName name = ModelName::canonical(asked.model);
  std::erase_if(state.options.models,
                [&](const FakeModel& model) { return ModelName::canonical(model.name) == name; });
  connection.answer(200, "", "");
}

void answer_blob(State& state, Connection& connection, const Request& request) {
  const bool there = state.blobs.contains(request.path);
  if (request.method == wire::Method::kHead) {
    connection.answer(there ? 200 : 404, "", "");
    return;
  }
  state.blobs.insert(request.path);
  connection.answer(there ? 200 : 201, "", "");
}

}  // namespace

net::Task<void> answer_store(State& state, Connection& connection, const Request& request,
                             Route route) {
  if (route == Route::kBlob) {
    answer_blob(state, connection, request);
    co_return;
  }
  StoreRequest asked;
  if (const auto bad = read_store_request(request.body, asked)) {
    refuse(connection, bad->status, bad->text);
    co_return;
  }
  if (route != Route::kCopy && asked.model.empty()) {
    refuse(connection, 400, "model is required");
    co_return;
  }
  if (route == Route::kCopy) {
    answer_copy(state, connection, asked);
  } else if (route == Route::kDelete) {
    answer_delete(state, connection, asked);
  } else {
    co_await answer_transfer(state, connection, std::move(asked), route);
  }
}

}  // namespace drover::fake
