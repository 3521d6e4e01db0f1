#include "fake_ollama/request.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>

namespace drover::fake {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

// The member, or an empty optional for "absent" and null alike, as Go decodes them.
std::optional<element> member(const object& of, std::string_view key) {
  element found;
  if (of.at_key(key).get(found) != simdjson::SUCCESS || found.is_null()) return std::nullopt;
  return found;
}

std::string text_of(const object& of, std::string_view key) {
  const auto found = member(of, key);
  std::string_view text;
  if (!found || found->get(text) != simdjson::SUCCESS) return {};
  return std::string(text);
}

bool flag_of(const object& of, std::string_view key, bool otherwise) {
  const auto found = member(of, key);
  bool flag = false;
  if (!found || found->get(flag) != simdjson::SUCCESS) return otherwise;
  return flag;
}

std::optional<double> number_of(const object& of, std::string_view key) {
  const auto found = member(of, key);
  double number = 0;
  if (!found || found->get(number) != simdjson::SUCCESS) return std::nullopt;
  return number;
}

std::optional<std::uint64_t> count_of(const object& of, std::string_view key) {
  const auto number = number_of(of, key);
  if (!number || !(*number > 0) || *number > 1e15) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

// Text of a message's content: a string, or parts of which those with "text" count.
std::string content_text(const element& content) {
  std::string_view text;
  if (content.get(text) == simdjson::SUCCESS) return std::string(text);
  std::string out;
  array parts;
  if (content.get(parts) != simdjson::SUCCESS) return out;
  for (const element part : parts) {
    object fields;
    if (part.get(fields) == simdjson::SUCCESS) out += text_of(fields, "text");
  }
  return out;
}

// Sets question and text_bytes from a conversation; false when there is none.
bool read_messages(const std::optional<element>& messages, Wanted& wanted) {
  array list;
  if (!messages || messages->get(list) != simdjson::SUCCESS || list.size() == 0) return false;
  for (const element entry : list) {
    object message;
    if (entry.get(message) != simdjson::SUCCESS) continue;
    const auto content = member(message, "content");
    if (!content) continue;
    const std::string text = content_text(*content);
    wanted.text_bytes += text.size();
    if (text_of(message, "role") == "user") wanted.question = text;
  }
  return true;
}

// A value for every parameter that the tool declares, so that a client's schema check passes.
std::string arguments_for(const object& function, std::string_view parameters_key) {
  std::string out = "{";
  object parameters;
  object properties;
  const auto schema = member(function, parameters_key);
  const bool declared = schema && schema->get(parameters) == simdjson::SUCCESS &&
                        parameters.at_key("properties").get(properties) == simdjson::SUCCESS;
  if (!declared) return "{}";
  for (const auto field : properties) {
    object property;
    const bool is_object = field.value.get(property) == simdjson::SUCCESS;
    const std::string type = is_object ? text_of(property, "type") : "string";
    std::string_view value = "\"heron\"";
    if (type == "integer" || type == "number") value = "7";
    if (type == "boolean") value = "true";
    if (type == "array") value = "[]";
    if (type == "object") value = "{}";
    if (out.size() > 1) out += ',';
    out += fmt::format("\"{}\":{}", field.key, value);
  }
  return out + "}";
}

void read_tools(const object& body, Wanted& wanted) {
  if (wanted.route == Route::kGenerate || wanted.route == Route::kV1Completions) return;
  array tools;
  const auto list = member(body, "tools");
  if (!list || list->get(tools) != simdjson::SUCCESS || tools.size() == 0) return;
  if (wanted.question.find("tool") == std::string::npos) return;
  object tool;
  if (tools.at(0).get(tool) != simdjson::SUCCESS) return;
  object function = tool;  // Anthropic and Responses: the tool itself
  const auto nested = member(tool, "function");
  if (nested && nested->get(function) != simdjson::SUCCESS) return;
  const char* schema = wanted.route == Route::kV1Messages ? "input_schema" : "parameters";
  wanted.tool_call = ToolCall{text_of(function, "name"), arguments_for(function, schema)};
}

std::optional<BadRequest> read_keep_alive(const object& body, Wanted& wanted) {
  const auto value = member(body, "keep_alive");
  if (!value) return std::nullopt;
  double seconds = 0;
  if (value->get(seconds) == simdjson::SUCCESS) {
    const double bounded = std::clamp(seconds, -1.0, 9e9);
    wanted.keep_alive = Duration(static_cast<std::int64_t>(bounded * 1e9));
    return std::nullopt;
  }
  std::string_view text;
  if (value->get(text) != simdjson::SUCCESS) return BadRequest{400, "invalid keep_alive"};
  Duration parsed{};
  if (!parse_go_duration(text, parsed)) {
    const bool bare = text.find_first_not_of("+-.0123456789") == std::string_view::npos;
    return BadRequest{400,
                      fmt::format("time: {} duration \"{}\"",
                                  bare && !text.empty() ? "missing unit in" : "invalid", text)};
  }
  wanted.keep_alive = parsed;
  return std::nullopt;
}

// Options that a runner is started with: another value forces a reload.
std::optional<BadRequest> read_load_options(const object& body, Wanted& wanted) {
  object options;
  const auto found = member(body, "options");
  if (found && found->get(options) == simdjson::SUCCESS) {
    for (const char* key : {"num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread",
                            "draft_num_predict"}) {
      const auto value = member(options, key);
      if (!value) continue;
      wanted.load_options += fmt::format("{}={};", key, simdjson::to_string(*value));
    }
    if (member(options, "num_ctx") && !number_of(options, "num_ctx")) {
      return BadRequest{500, "option \"num_ctx\" must be of type integer"};
    }
    wanted.num_ctx = count_of(options, "num_ctx");
    wanted.exact_tokens = count_of(options, "num_predict");
  }
  const auto shift = member(body, "shift");
  if (shift) wanted.load_options += fmt::format("shift={};", simdjson::to_string(*shift));
  return std::nullopt;
}

void read_inputs(const object& body, const char* key, Wanted& wanted) {
  const auto input = member(body, key);
  if (!input) return;
  std::string_view text;
  array list;
  if (input->get(text) == simdjson::SUCCESS) {
    wanted.inputs.emplace_back(text);
  } else if (input->get(list) == simdjson::SUCCESS) {
    for (const element entry : list) {
      if (entry.get(text) == simdjson::SUCCESS) wanted.inputs.emplace_back(text);
    }
    wanted.input_was_empty_array = list.size() == 0;
  }
  for (const std::string& one : wanted.inputs) wanted.text_bytes += one.size();
}

std::optional<BadRequest> read_native(const object& body, Wanted& wanted) {
  if (auto bad = read_keep_alive(body, wanted)) return bad;
  if (auto bad = read_load_options(body, wanted)) return bad;
  wanted.stream = flag_of(body, "stream", true);
  switch (wanted.route) {
    case Route::kGenerate:
      wanted.question = text_of(body, "prompt");
      wanted.text_bytes = wanted.question.size() + text_of(body, "system").size();
      wanted.empty = wanted.question.empty();
      break;
    case Route::kChat:
      if (wanted.model.empty()) return BadRequest{400, "model is required"};
      wanted.empty = !read_messages(member(body, "messages"), wanted);
      break;
    case Route::kEmbed:
      wanted.stream = false;
      if (wanted.model.empty()) return BadRequest{400, "model is required"};
      read_inputs(body, "input", wanted);
      wanted.empty = wanted.inputs.empty();
      break;
    default:
      wanted.stream = false;
      if (wanted.model.empty()) return BadRequest{400, "model is required"};
      read_inputs(body, "prompt", wanted);
      wanted.empty = wanted.inputs.empty() || wanted.inputs.front().empty();
      break;
  }
  wanted.dimensions = count_of(body, "dimensions").value_or(0);
  return std::nullopt;
}

std::optional<BadRequest> read_openai(const object& body, Wanted& wanted) {
  wanted.stream = flag_of(body, "stream", false);
  if (const auto options = member(body, "stream_options")) {
    object fields;
    if (options->get(fields) == simdjson::SUCCESS) {
      wanted.include_usage = flag_of(fields, "include_usage", false);
    }
  }
  for (const char* key : {"max_tokens", "max_completion_tokens", "max_output_tokens"}) {
    if (const auto count = count_of(body, key)) wanted.exact_tokens = count;
  }
  switch (wanted.route) {
    case Route::kV1Chat:
      if (!read_messages(member(body, "messages"), wanted)) {
        return BadRequest{400, "[] is too short - 'messages'"};
      }
      break;
    case Route::kV1Completions:
      read_inputs(body, "prompt", wanted);
      if (!wanted.inputs.empty()) wanted.question = wanted.inputs.front();
      break;
    case Route::kV1Embeddings:
      wanted.stream = false;
      read_inputs(body, "input", wanted);
      if (wanted.inputs.empty()) return BadRequest{400, "invalid input"};
      wanted.dimensions = count_of(body, "dimensions").value_or(0);
      wanted.base64 = text_of(body, "encoding_format") == "base64";
      break;
    default:  // Responses: a text, or messages
      if (!read_messages(member(body, "input"), wanted)) {
        read_inputs(body, "input", wanted);
        if (!wanted.inputs.empty()) wanted.question = wanted.inputs.front();
      }
      wanted.text_bytes += text_of(body, "instructions").size();
      break;
  }
  if (wanted.model.empty()) return BadRequest{400, "model is required"};
  return std::nullopt;
}

std::optional<BadRequest> read_anthropic(const object& body, Wanted& wanted) {
  wanted.stream = flag_of(body, "stream", false);
  if (wanted.model.empty()) return BadRequest{400, "model is required"};
  wanted.most_tokens = count_of(body, "max_tokens");
  if (!wanted.most_tokens) return BadRequest{400, "max_tokens is required and must be positive"};
  if (!read_messages(member(body, "messages"), wanted)) {
    return BadRequest{400, "messages is required"};
  }
  if (const auto system = member(body, "system")) {
    wanted.text_bytes += content_text(*system).size();
  }
  return std::nullopt;
}

// Go names the first byte that it cannot use; the parser here does not know where that was.
std::optional<BadRequest> parse_object(simdjson::dom::parser& parser, const std::string& text,
                                       object& out) {
  if (text.empty()) return BadRequest{400, "missing request body"};
  element root;
  const auto error = parser.parse(text).get(root);
  if (error != simdjson::SUCCESS) {
    return BadRequest{400, fmt::format("invalid JSON: {}", simdjson::error_message(error))};
  }
  if (root.get(out) != simdjson::SUCCESS) {
    return BadRequest{400, "json: cannot unmarshal value into Go value of type api.Request"};
  }
  return std::nullopt;
}

}  // namespace

bool is_inference(Route route) { return route <= Route::kV1Messages; }

bool is_embedding(Route route) {
  return route == Route::kEmbed || route == Route::kEmbeddings || route == Route::kV1Embeddings;
}

Dialect dialect_of(Route route) {
  switch (route) {
    case Route::kV1Chat:
    case Route::kV1Completions:
    case Route::kV1Embeddings:
    case Route::kV1Responses:
    case Route::kV1Models:
    case Route::kV1Model:
      return Dialect::kOpenAi;
    case Route::kV1Messages:
      return Dialect::kAnthropic;
    default:
      return Dialect::kNative;
  }
}

std::optional<BadRequest> read_wanted(Route route, const std::string& body, Wanted& wanted) {
  simdjson::dom::parser parser;
  object root;
  if (auto bad = parse_object(parser, body, root)) return bad;
  wanted.route = route;
  if (const auto model = member(root, "model"); model && !model->is_string()) {
    return BadRequest{400,
                      "json: cannot unmarshal value into Go struct field .model of type "
                      "string"};
  }
  wanted.model = text_of(root, "model");
  std::optional<BadRequest> bad;
  switch (dialect_of(route)) {
    case Dialect::kNative:
      bad = read_native(root, wanted);
      break;
    case Dialect::kOpenAi:
      bad = read_openai(root, wanted);
      break;
    case Dialect::kAnthropic:
      bad = read_anthropic(root, wanted);
      break;
  }
  if (!bad) read_tools(root, wanted);
  return bad;
}

std::optional<BadRequest> read_store_request(const std::string& body, StoreRequest& out) {
  simdjson::dom::parser parser;
  object root;
  if (auto bad = parse_object(parser, body, root)) return bad;
  out.model = text_of(root, "model");
  if (out.model.empty()) out.model = text_of(root, "name");
  out.from = text_of(root, "from");
  out.source = text_of(root, "source");
  out.destination = text_of(root, "destination");
  out.stream = flag_of(root, "stream", true);
  object files;
  if (root.at_key("files").get(files) == simdjson::SUCCESS) {
    for (const auto file : files) {
      std::string_view digest;
      if (file.value.get(digest) == simdjson::SUCCESS) out.files.emplace_back(digest);
    }
  }
  return std::nullopt;
}

bool parse_go_duration(std::string_view text, Duration& out) {
  double sign = 1;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    sign = text[0] == '-' ? -1 : 1;
    text.remove_prefix(1);
  }
  if (text.empty()) return false;
  if (text == "0") {
    out = Duration::zero();
    return true;
  }
  double nanos = 0;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    const std::string number(text.substr(0, digits));
    if (number.empty() || number == "." || number.size() > 18) return false;
    text.remove_prefix(digits);
    const std::size_t letters = std::min(text.find_first_of("0123456789."), text.size());
    const std::string_view unit = text.substr(0, letters);
    double factor = 0;
    if (unit == "ns")
      factor = 1;
    else if (unit == "us" || unit == "\u00b5s")
      factor = 1e3;
    else if (unit == "ms")
      factor = 1e6;
    else if (unit == "s")
      factor = 1e9;
    else if (unit == "m")
      factor = 60e9;
    else if (unit == "h")
      factor = 3600e9;
    else
      return false;
    text.remove_prefix(letters);
    nanos += std::strtod(number.c_str(), nullptr) * factor;
  }
  out = Duration(static_cast<std::int64_t>(std::clamp(sign * nanos, -9e18, 9e18)));
  return true;
}

}  // namespace drover::fake
