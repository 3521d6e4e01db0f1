#include "wire/dialect.h"

#include <cstddef>

namespace drover::wire {
namespace {

std::string_view openai_type(int status) {
  if (status == 400) return "invalid_request_error";
  if (status == 404) return "not_found_error";
  return "api_error";
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

std::string native_error(std::string_view message) {
  return "{\"error\":" + json_quote(message) + '}';
}

// The object that stands under "error".
std::string openai_object(std::string_view message, std::string_view type) {
  return "{\"message\":" + json_quote(message) + ",\"type\":" + json_quote(type) +
         ",\"param\":null,\"code\":null}";
}

std::string anthropic_error(std::string_view message, std::string_view type,
                            std::string_view request_id) {
  std::string out = "{\"type\":\"error\",\"error\":{\"type\":" + json_quote(type) +
                    ",\"message\":" + json_quote(message) + '}';
  if (!request_id.empty()) out += ",\"request_id\":" + json_quote(request_id);
  return out + '}';
}

// The event of the Responses API is flat, but its clients raise on an "error" object, as in the
// other streams of that API; so it carries both.
std::string responses_error(std::string_view message) {
  return "{\"type\":\"error\",\"sequence_number\":0,\"code\":\"server_error\",\"message\":" +
         json_quote(message) + ",\"param\":null,\"error\":" + openai_object(message, "api_error") +
         '}';
}

// How many bytes the well-formed character at the start of `text` has; 0 when there is none.
std::size_t character_size(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const bool overlong = lead == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = lead == 0xED && byte(1) > 0x9F;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool overlong = lead == 0xF0 && byte(1) < 0x90;
    const bool beyond = lead == 0xF4 && byte(1) > 0x8F;
    return continues(1) && continues(2) && continues(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

void quote_ascii(std::string& out, char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  constexpr std::string_view kBytes = "\"\\\b\f\n\r\t";
  constexpr std::string_view kNames = "\"\\bfnrt";
  const std::size_t at = kBytes.find(c);
  const auto byte = static_cast<unsigned char>(c);
  if (at != std::string_view::npos) {
    out += '\\';
    out += kNames[at];
  } else if (byte < 0x20) {
    out += "\\u00";
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  } else {
    out += c;
  }
}

}  // namespace

std::string error_body(Dialect dialect, int status, std::string_view message,
                       std::string_view request_id) {
  switch (dialect) {
    case Dialect::kOpenAi:
      return "{\"error\":" + openai_object(message, openai_type(status)) + '}';
    case Dialect::kAnthropic:
      return anthropic_error(message, anthropic_type(status), request_id);
    case Dialect::kNative:
      break;
  }
  return native_error(message);
}

std::string error_record(StreamShape shape, std::string_view message, std::string_view request_id) {
  // Clients ask whether there is an error by asking whether its text is empty.
  if (message.empty()) message = "the answer broke off";
  switch (shape) {
    case StreamShape::kOpenAiSse:
      return "data: {\"error\":" + openai_object(message, "api_error") + "}\n\n";
    case StreamShape::kResponses:
      return "event: error\ndata: " + responses_error(message) + "\n\n";
    case StreamShape::kAnthropic:
      return "event: error\ndata: " + anthropic_error(message, "api_error", request_id) + "\n\n";
    case StreamShape::kNone:  // a document has no place for a record; what began stays cut
      return {};
    case StreamShape::kNdjson:
      break;
  }
  return native_error(message) + '\n';
}

std::string json_quote(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  out += '"';
  while (!text.empty()) {
    const std::size_t size = character_size(text);
    if (size == 0) {
      out += "\xEF\xBF\xBD";  // U+FFFD
    } else if (size == 1) {
      quote_ascii(out, text.front());
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  out += '"';
  return out;
}

}  // namespace drover::wire
