#pragma once
// A strict reader of request bodies that is fed in pieces of any size and keeps constant memory: it
// knows the grammar, the depth and the keys of interest, and never builds a tree. A request of 20
// MB of base64 images costs one pass over its bytes as they arrive.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ask.h"
#include "base/result.h"
#include "base/time.h"

namespace drover::wire {

struct JsonLimits {
  std::uint32_t max_depth = 128;
  std::size_t max_key = 1024;   // bytes of one key kept for comparison; longer ones never match
  std::size_t max_model = 512;  // bytes of a model name
};

// Replace `length` bytes at `offset` of the body by `text`.
struct Edit {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::string text;
};

// Where the options of a request stand, so that those which belong to a loaded model can be
// changed.
struct OptionPlaces {
  struct Place {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;  // 0: not there
  };
  enum class Options : std::uint8_t { kMissing, kNull, kEmpty, kFilled, kOther };
  Options options = Options::kMissing;  // the object
  Place at;                             // of it; only its offset where it is an object
  std::uint64_t document = 0;           // the brace that begins the body
  Place num_ctx;                        // the number, or null
  bool num_ctx_is_wrong = false;        // something else stands there
  std::vector<Place> others;            // values of num_batch, num_gpu, …
};

// Where "stream_options" stand, so that usage can be asked for.
struct UsagePlaces {
  OptionPlaces::Options options = OptionPlaces::Options::kMissing;
  OptionPlaces::Place at;             // of the object or the null
  OptionPlaces::Place include_usage;  // a value that is not true
};

// What a request body says at its top level, as far as routing cares.
struct RequestFacts {
  std::optional<std::string> model;  // unescaped; from "model", or "name" when there is no "model"
  std::optional<bool> stream;
  bool include_usage = false;  // stream_options.include_usage is true
  UsagePlaces usage_places;
  bool has_tools = false;  // "tools" non-empty array, or "format" present: slow tokens
  // Of "options", those that are a loaded model's rather than a request's (another value makes the
  // instance load it anew): num_ctx, when it is a number (less than 1 counts as 1), and all
  // others.
  std::optional<std::uint64_t> num_ctx;
  std::uint32_t other_runner_options = 0;  // a hash of names and values; 0: none
  OptionPlaces places;
  // "keep_alive" with its quotes, and how long that is (negative: for ever). None: it is not there,
  // null, or nothing that Ollama takes.
  OptionPlaces::Place keep_alive;
  std::optional<Duration> kept_alive;
  Beginnings beginnings;     // of an array "messages", its objects; none without a salt
  bool empty_prompt = true;  // no or empty "prompt" and no or empty "messages": load/unload
  std::vector<Edit> edits;   // known keys in another spelling, spelled canonically; sorted
};

// Refused with kMalformed (each message names what and where, "byte 123"): anything that is not one
// JSON object followed by white space only; depth over the limit; invalid UTF-8; a byte order
// mark; half a surrogate pair in a key, "model" or "name" (elsewhere Ollama reads it); a control
// character in a string; a number Go would not take; a known key twice in any spelling that Go's
// decoder folds together (ASCII case, U+017F long s, U+212A Kelvin sign; escapes decoded first);
// "model" or "name" not a string, "stream" not a boolean (null counts as absent for both). Known
// keys: model, name, stream, keep_alive, options, prompt, messages, input, tools, format,
// stream_options, think, raw, template, system, context, images, suffix, truncate, shift,
// max_tokens, _debug_render_only; stream_options.include_usage; and options.num_ctx in its exact
// name, since options is a map to Ollama. A duplicate of any other key at the top level is refused
// as well, and so is a duplicate (folded) key inside "options" and "stream_options".
class RequestInspector {
 public:
  // `salt`: messages are hashed, as message_ends.h says. None: that costs nothing.
  explicit RequestInspector(JsonLimits limits = {}, std::optional<std::uint64_t> salt = {});
  ~RequestInspector();
  RequestInspector(RequestInspector&&) noexcept;

  // The body lies here whole, and nothing was fed. True: it is read, nothing has to be fed. False:
  // it is not written as most are, so feed it.
  bool take_whole(std::string_view body);
  Result<void> feed(std::string_view piece);
  Result<RequestFacts> finish();

 private:
  struct State;
  State& state();

  JsonLimits limits_;
  std::optional<std::uint64_t> salt_;
  std::unique_ptr<State> state_;       // null until something is fed
  std::optional<RequestFacts> facts_;  // of a body that was taken whole
};

}  // namespace drover::wire
