// Says what our parsers make of HTTP messages, for comparison with other parsers. One message a
// line on standard input, "request HEX", "response HEX" or "response-to-head HEX"; one JSON object
// a line on standard output. Texts are written byte for byte: each byte is the character of its
// number.

#include <cstdio>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

#include "wire/http_body.h"
#include "wire/http_chars.h"
#include "wire/http_head.h"

namespace drover::wire {
namespace {

std::string quoted(std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte > 0x7e || c == '"' || c == '\\') {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

std::string fields_json(const std::vector<Field>& fields) {
  std::string out = "[";
  for (const Field& field : fields) {
    if (out.size() > 1) out += ',';
    out += '[' + quoted(field.name) + ',' + quoted(field.value) + ']';
  }
  return out + ']';
}

std::string refused(const Error& error) {
  return "{\"outcome\":\"refused\",\"why\":" + quoted(error.message) + '}';
}

constexpr std::string_view kIncomplete = "{\"outcome\":\"incomplete\"}";

// The body behind a head whose members are `head_json`, and the object of the whole message.
std::string whole_message(std::string_view input, std::size_t head_bytes, BodyDecoder decoder,
                          const std::string& head_json) {
  std::size_t consumed = head_bytes;
  std::string body;
  while (consumed < input.size() && !decoder.done()) {
    Result<BodyDecoder::Step> step = decoder.next(input.substr(consumed));
    if (!step) return refused(step.error());
    consumed += step->consumed;
    body += step->data;
  }
  if (!decoder.done() && !decoder.end().ok()) return std::string(kIncomplete);
  return "{\"outcome\":\"complete\"," + head_json + ",\"body\":" + quoted(body) +
         ",\"consumed\":" + std::to_string(consumed) + '}';
}

std::string request_json(std::string_view input) {
  RequestParser parser;
  RequestHead head;
  Result<std::optional<std::size_t>> parsed = parser.parse(input, head);
  if (!parsed) return refused(parsed.error());
  if (!*parsed) return std::string(kIncomplete);
  const std::string members = "\"method\":" + quoted(head.method_text) +
                              ",\"target\":" + quoted(head.target) +
                              ",\"authority\":" + quoted(head.authority) +
                              ",\"minor\":" + std::to_string(head.minor_version) +
                              ",\"fields\":" + fields_json(head.fields);
  return whole_message(input, **parsed,
                       BodyDecoder(head.framing, head.content_length, Origin::kClient), members);
}

std::string response_json(std::string_view input, Method request) {
  ResponseParser parser;
  ResponseHead head;
  Result<std::optional<std::size_t>> parsed = parser.parse(input, request, head);
  if (!parsed) return refused(parsed.error());
  if (!*parsed) return std::string(kIncomplete);
  const std::string members = "\"status\":" + std::to_string(head.status) +
                              ",\"minor\":" + std::to_string(head.minor_version) +
                              ",\"fields\":" + fields_json(head.fields);
  return whole_message(input, **parsed,
                       BodyDecoder(head.framing, head.content_length, Origin::kInstance), members);
}

// Nothing for a line that is none.
std::optional<std::string> answer(std::string_view line) {
  const std::size_t blank = line.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  const std::string_view kind = line.substr(0, blank);
  const std::optional<std::string> input = from_hex(line.substr(blank + 1));
  if (!input) return std::nullopt;
  if (kind == "request") return request_json(*input);
  if (kind == "response") return response_json(*input, Method::kPost);
  if (kind == "response-to-head") return response_json(*input, Method::kHead);
  return std::nullopt;
}

}  // namespace
}  // namespace drover::wire

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const std::optional<std::string> said = drover::wire::answer(line);
    if (!said) {
      std::fprintf(stderr, "read_messages: not 'request HEX' and the like: %.80s\n", line.c_str());
      return 2;
    }
    std::cout << *said << '\n';
  }
  return 0;
}
