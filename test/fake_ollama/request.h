#pragma once
// What a request body asks for, read the way Ollama reads it: Content-Type is ignored, unknown keys
// are ignored, and each route has its own words for what is missing.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ask.h"
#include "base/time.h"
#include "fake_ollama/fake_ollama.h"

namespace drover::fake {

enum class Route : std::uint8_t {
  kGenerate,
  kChat,
  kEmbed,
  kEmbeddings,
  kV1Chat,
  kV1Completions,
  kV1Embeddings,
  kV1Responses,
  kV1Messages,
  // Not inference:
  kRoot,
  kVersion,
  kStatus,
  kTags,
  kPs,
  kShow,
  kV1Models,
  kV1Model,
  kPull,
  kPush,
  kCreate,
  kCopy,
  kDelete,
  kBlob,
};

bool is_inference(Route route);
bool is_embedding(Route route);
Dialect dialect_of(Route route);

// The one call that an answer makes when it was given tools and the question says "tool".
struct ToolCall {
  std::string name;
  std::string arguments;  // a JSON object
};

struct Wanted {
  Route route = Route::kGenerate;
  std::string model;  // as sent
  bool stream = false;
  std::string question;                       // prompt, or the text of the last user message
  std::size_t text_bytes = 0;                 // of the whole prompt, images left out
  bool empty = false;                         // native: no prompt and no messages: load, or unload
  std::optional<Duration> keep_alive;         // negative: for ever
  std::optional<std::uint64_t> exact_tokens;  // num_predict, max_tokens of the OpenAI routes
  std::optional<std::uint64_t> most_tokens;   // max_tokens of /v1/messages
  std::string load_options;                   // the load-time options as text
  std::optional<std::uint64_t> num_ctx;
  bool include_usage = false;
  std::optional<ToolCall> tool_call;
  std::vector<std::string> inputs;  // to embed
  bool input_was_empty_array = false;
  std::size_t dimensions = 0;
  bool base64 = false;

  bool unloads() const { return empty && keep_alive && *keep_alive == Duration::zero(); }
};

struct BadRequest {
  int status = 400;
  std::string text;
};

// Reads `body` for `route` into `wanted`. An answer means that it was refused.
std::optional<BadRequest> read_wanted(Route route, const std::string& body, Wanted& wanted);

// The model management routes: names only.
struct StoreRequest {
  std::string model;                // "model" or "name"
  std::string from;                 // create
  std::vector<std::string> files;   // create: digests
  std::string source, destination;  // copy
  bool stream = true;
};
std::optional<BadRequest> read_store_request(const std::string& body, StoreRequest& out);

// Go's time.ParseDuration. False when it is not one.
bool parse_go_duration(std::string_view text, Duration& out);

}  // namespace drover::fake
