#include "fake_ollama/writer.h"

#include <fmt/format.h>

#include "fake_ollama/text.h"

namespace drover::fake {

std::unique_ptr<Writer> make_writer(const Wanted& wanted, WriterContext context) {
  switch (wanted.route) {
    case Route::kV1Responses:
      return make_responses_writer(wanted, std::move(context));
    case Route::kV1Messages:
      return make_anthropic_writer(wanted, std::move(context));
    case Route::kV1Chat:
    case Route::kV1Completions:
      return make_openai_writer(wanted, std::move(context));
    default:
      return make_native_writer(wanted, std::move(context));
  }
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20) {
      out += "\\u00" + hex(byte, 2);
    } else {
      out += c;
    }
  }
  out += '"';
}

std::string json_quoted(std::string_view text) {
  std::string out;
  append_quoted(out, text);
  return out;
}

namespace {

std::string_view openai_type(int status) {
  if (status == 400) return "invalid_request_error";
  return status == 404 ? "not_found_error" : "api_error";
}

std::string_view anthropic_type(int status) {
  switch (status) {
    case 400:
      return "invalid_request_error";
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 503:
    case 529:
      return "overloaded_error";
    default:
      return "api_error";
  }
}

}  // namespace

std::string error_body(Dialect dialect, int status, std::string_view text) {
  switch (dialect) {
    case Dialect::kOpenAi:
      return fmt::format(R"({{"error":{{"message":{},"type":"{}","param":null,"code":null}}}})",
                         json_quoted(text), openai_type(status));
    case Dialect::kAnthropic:
      return fmt::format(
          R"({{"type":"error","error":{{"type":"{}","message":{}}},"request_id":"req_{}"}})",
          anthropic_type(status), json_quoted(text), hex(fnv1a(text), 16));
    default:
      return fmt::format(R"({{"error":{}}})", json_quoted(text));
  }
}

}  // namespace drover::fake
