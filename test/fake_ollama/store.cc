#include "fake_ollama/store.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/model_name.h"
#include "fake_ollama/sha256.h"
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

// What a transfer says before its end. Faults of a generation hit it too, lines counting as tokens.
struct Talk {
  std::string path;
  std::string body;
  bool streaming = true;
  std::vector<std::string> lines;
};

// Plays a fault in place of the next line. False: the answer is over.
net::Task<bool> play_in_talk(State& state, Connection& connection, const Talk& talk,
                             const Fault& fault) {
  constexpr std::string_view kText = "write blobs/sha256-0: no space left on device";
  const std::string text = fault.text.empty() ? std::string(kText) : fault.text;
  const std::string body = error_body(Dialect::kNative, 500, text);
  switch (fault.kind) {
    case FaultKind::kErrorMid:
      if (talk.streaming) connection.end_stream(body + "\n");
      if (!talk.streaming) connection.answer(500, kJsonType, body);
      co_return false;
    case FaultKind::kHangMid:
    case FaultKind::kSlowTokens: {
      const Instant until = fault.pause ? state.loop.now() + *fault.pause : kNever;
      const net::WaitResult slept = co_await state.loop.sleep_until(until, &connection.gone());
      co_return slept != net::WaitResult::kCancelled;
    }
    case FaultKind::kCut:
    case FaultKind::kMissingDone:
      connection.end_stream();
      co_return false;
    default:
      connection.reset();
      co_return false;
  }
}

// Lines as they come, or one object at the end. False: it is over, one way or another.
net::Task<bool> progress(State& state, Connection& connection, Talk talk) {
  const FaultTarget target{talk.path, false, talk.body};
  const std::optional<Fault> fault = state.faults.take_generation(target);
  if (talk.streaming) connection.begin_stream(200, "application/x-ndjson");
  for (std::size_t i = 0; i < talk.lines.size(); ++i) {
    const bool each = fault && fault->kind == FaultKind::kSlowTokens;
    if (fault && (each || i == fault->after_tokens)) {
      const bool goes_on = co_await play_in_talk(state, connection, talk, *fault);
      if (!goes_on) co_return false;
    }
    const net::WaitResult slept =
        co_await state.loop.sleep_for(state.options.token_time, &connection.gone());
    if (slept == net::WaitResult::kCancelled) {
      state.note_cancel(talk.path, "generating", i);
      co_return false;
    }
    if (!talk.streaming) continue;
    connection.chunk(talk.lines[i] + "\n");
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

// What moves between a store and a registry.
struct Piece {
  std::string digest;  // "sha256:…"
  std::uint64_t bytes = 0;
  bool there = false;  // already
};

// Numbers that are zero are left out, as Go does.
std::string part_line(std::string_view verb, const Piece& piece, std::uint64_t completed) {
  constexpr std::size_t kPrefix = 7;
  std::string line = fmt::format(R"({{"status":"{} {}","digest":"{}","total":{})", verb,
                                 piece.digest.substr(kPrefix, 12), piece.digest, piece.bytes);
  if (completed != 0) line += fmt::format(R"(,"completed":{})", completed);
  return line + '}';
}

std::vector<std::string> transfer_lines(Route route, const std::vector<Piece>& pieces) {
  const bool pull = route == Route::kPull;
  std::vector<std::string> lines = {pull ? R"({"status":"pulling manifest"})"
                                         : R"({"status":"retrieving manifest"})"};
  for (const Piece& piece : pieces) {
    for (int i = piece.there ? kPullSteps : 0; i <= kPullSteps; ++i) {
      lines.push_back(part_line(pull ? "pulling" : "pushing", piece,
                                piece.bytes * static_cast<std::uint64_t>(i) / kPullSteps));
    }
  }
  if (pull) lines.push_back(R"({"status":"verifying sha256 digest"})");
  lines.push_back(pull ? R"({"status":"writing manifest"})" : R"({"status":"pushing manifest"})");
  return lines;
}

// An error that is found before any progress: a line of the stream, or a status.
void fail_transfer(Connection& connection, const StoreRequest& asked, std::string_view first,
                   std::string_view text) {
  if (!asked.stream) return refuse(connection, 500, text);
  connection.begin_stream(200, "application/x-ndjson");
  if (!first.empty()) connection.chunk(fmt::format("{{\"status\":\"{}\"}}\n", first));
  connection.end_stream(error_body(Dialect::kNative, 500, text) + "\n");
}

constexpr std::string_view kNowhere = "pull model manifest: file does not exist";

// What a pull of the model has to fetch, or finds in place.
std::vector<Piece> pieces_of(const State& state, const std::string& name) {
  std::vector<Piece> pieces;
  if (state.directory) {
    for (const Directory::Part& part : Directory::parts_of(name)) {
      pieces.push_back({part.digest, part.contents.size(), false});
    }
  } else {
    FakeModel shown;
    shown.name = name;
    pieces.push_back({"sha256:" + digest_of(shown), shown.bytes, false});
  }
  for (Piece& piece : pieces) piece.there = state.has_blob(piece.digest);
  return pieces;
}

void keep_files(State& state, const std::string& name) {
  const std::vector<Directory::Part> parts = Directory::parts_of(name);
  for (const Directory::Part& part : parts) {
    if (!state.directory->has(part.digest)) state.directory->put(part.digest, part.contents);
  }
  const std::string digest = state.directory->write_manifest(name, parts);
  for (FakeModel& model : state.options.models) {
    if (ModelName::canonical(model.name) != ModelName::canonical(name)) continue;
    model.digest = digest;
    model.bytes = parts[0].contents.size() + parts[1].contents.size();
  }
}

// A name with "missing" exists nowhere.
net::Task<void> answer_pull(State& state, Connection& connection, StoreRequest asked, Talk talk) {
  const std::string& name = asked.model;
  if (name.find("missing") != std::string::npos) {
    fail_transfer(connection, asked, "pulling manifest", kNowhere);
    co_return;
  }
  std::vector<Piece> pieces = pieces_of(state, name);
  talk.lines = transfer_lines(Route::kPull, pieces);
  const bool done = co_await progress(state, connection, std::move(talk));
  if (!done) co_return;
  for (const Piece& piece : pieces) {
    if (!piece.there) state.fetched += piece.bytes;
    state.blobs.insert(piece.digest);
  }
  add_model(state, name, nullptr);
  if (state.directory) keep_files(state, name);
  succeed(connection, asked.stream);
}

net::Task<void> answer_push(State& state, Connection& connection, StoreRequest asked, Talk talk) {
  const FakeModel* model = state.find_model(asked.model);
  if (model == nullptr) {
    fail_transfer(connection, asked, "retrieving manifest",
                  "couldn't retrieve manifest: not found");
    co_return;
  }
  talk.lines = transfer_lines(Route::kPush, {{"sha256:" + model->digest, model->bytes, false}});
  const bool done = co_await progress(state, connection, std::move(talk));
  if (done) succeed(connection, asked.stream);
}

// From a model that is here, one that has to be pulled for it, or blobs that were sent before.
net::Task<void> answer_create(State& state, Connection& connection, StoreRequest asked, Talk talk) {
  for (const std::string& digest : asked.files) {
    if (state.has_blob(digest)) continue;
    fail_transfer(connection, asked, "parsing GGUF",
                  fmt::format("open blobs/{}: no such file or directory", digest));
    co_return;
  }
  const bool known = state.find_model(asked.from) != nullptr;
  if (!asked.from.empty() && !known && asked.from.find("missing") != std::string::npos) {
    fail_transfer(connection, asked, "pulling manifest", kNowhere);
    co_return;
  }
  talk.lines = {asked.files.empty() ? R"({"status":"using existing layer sha256:0"})"
                                    : R"({"status":"parsing GGUF"})",
                R"({"status":"writing manifest"})"};
  const bool done = co_await progress(state, connection, std::move(talk));
  if (!done) co_return;
  const FakeModel* from = state.find_model(asked.from);
  const std::optional<FakeModel> like = from != nullptr ? std::optional(*from) : std::nullopt;
  add_model(state, asked.model, like ? &*like : nullptr);
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
  for (const Piece& piece : pieces_of(state, asked.model)) state.blobs.erase(piece.digest);
  std::erase_if(state.options.models,
                [&](const FakeModel& model) { return ModelName::canonical(model.name) == name; });
  connection.answer(200, "", "");
}

void answer_blob(State& state, Connection& connection, const Request& request) {
  constexpr std::string_view kPath = "/api/blobs/";
  const std::string digest = request.path.substr(kPath.size());
  const bool there = state.has_blob(digest);
  if (request.method == wire::Method::kHead) {
    connection.answer(there ? 200 : 404, "", "");
    return;
  }
  if (state.directory && !there && !state.directory->put(digest, request.body)) {
    refuse(connection, 400,
           fmt::format("digest mismatch, expected \"{}\", got \"sha256:{}\"", digest,
                       sha256_hex(request.body)));
    return;
  }
  state.blobs.insert(digest);
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
    Talk talk{request.path, request.body, asked.stream, {}};
    if (route == Route::kPull) co_await answer_pull(state, connection, asked, std::move(talk));
    if (route == Route::kPush) co_await answer_push(state, connection, asked, std::move(talk));
    if (route == Route::kCreate) co_await answer_create(state, connection, asked, std::move(talk));
  }
}

}  // namespace drover::fake
