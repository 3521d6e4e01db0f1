#pragma once
// For tests only: reads one whole request out of bytes, fed in pieces of any size, the way a
// connection does. What comes out must not depend on the pieces.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "wire/http_body.h"
#include "wire/http_head.h"

namespace drover::wire {

// What is left of a message once it is read. Comparable as text, errors included.
struct ReadMessage {
  enum class Outcome { kComplete, kIncomplete, kRefused };
  Outcome outcome = Outcome::kIncomplete;
  std::optional<Error> error;
  std::string head;  // the fields of RequestHead or ResponseHead, spelled out
  std::string body;
  std::size_t consumed = 0;

  std::string text() const {
    std::string out = head + "\n[" + body + "]\n";
    // How much of a broken piece was looked at says nothing.
    if (!error) out += "consumed " + std::to_string(consumed) + "\n";
    if (outcome == Outcome::kIncomplete) out += "incomplete\n";
    if (error) out += std::string(to_string(error->kind)) + ": " + error->message + "\n";
    return out;
  }
};

inline std::string describe(const std::vector<Field>& fields) {
  std::string out;
  for (const Field& field : fields) {
    out += std::string(field.name) + "=" + std::string(field.value) + "\n";
  }
  return out;
}

inline std::string describe(const RequestHead& head) {
  std::string out;
  for (const std::string_view part :
       {head.method_text, head.target, head.path, head.query, head.authority}) {
    out += std::string(part) + " | ";
  }
  for (const std::size_t number :
       {static_cast<std::size_t>(head.method), static_cast<std::size_t>(head.minor_version),
        static_cast<std::size_t>(head.framing), static_cast<std::size_t>(head.content_length),
        std::size_t{head.keep_alive}, std::size_t{head.expect_continue}, head.bytes}) {
    out += std::to_string(number) + " | ";
  }
  return out + "\n" + describe(head.fields);
}

inline std::string describe(const ResponseHead& head) {
  std::string out;
  for (const std::size_t number :
       {static_cast<std::size_t>(head.status), static_cast<std::size_t>(head.minor_version),
        static_cast<std::size_t>(head.framing), static_cast<std::size_t>(head.content_length),
        std::size_t{head.keep_alive}, head.bytes}) {
    out += std::to_string(number) + " | ";
  }
  return out + "\n" + describe(head.fields);
}

inline void refuse(ReadMessage& message, Error error) {
  message.outcome = ReadMessage::Outcome::kRefused;
  message.error = std::move(error);
}

// `pieces(rest)` says how many bytes arrive next (at least one of `rest`).
template <class Pieces>
void read_body(BodyDecoder& decoder, std::string_view bytes, Pieces pieces, ReadMessage& message) {
  using Outcome = ReadMessage::Outcome;
  while (message.consumed < bytes.size() && !decoder.done()) {
    const std::string_view rest = bytes.substr(message.consumed);
    // A copy of exactly that size, so that a sanitizer sees every look beyond the piece.
    const std::string piece(rest.substr(0, pieces(rest.size())));
    for (std::size_t at = 0; at < piece.size() && !decoder.done();) {
      auto step = decoder.next(std::string_view(piece).substr(at));
      if (!step) return refuse(message, std::move(step).error());
      at += step->consumed;
      message.consumed += step->consumed;
      message.body += step->data;
    }
  }
  if (decoder.done()) message.outcome = Outcome::kComplete;
}

inline constexpr std::size_t kMaxCopied = 2048;

// `parse(buffered, head)` is a parser's call.
template <class Head, class Parse, class Pieces>
bool read_head(std::string_view bytes, Parse parse, Pieces pieces, Head& head, std::string& buffer,
               ReadMessage& message) {
  for (std::size_t size = 0; size < bytes.size();) {
    size += pieces(bytes.size() - size);
    std::string_view buffered = bytes.substr(0, size);
    // A new place in memory each time, while that is cheap: no view of an earlier call may survive
    // in the result.
    if (size <= kMaxCopied) {
      buffer = std::string(buffered);
      buffer.shrink_to_fit();
      buffered = buffer;
    }
    auto result = parse(buffered, head);
    if (!result) {
      refuse(message, std::move(result).error());
      return false;
    }
    if (!*result) continue;
    message.consumed = **result;
    message.head = describe(head);
    return true;
  }
  return false;
}

template <class Pieces>
ReadMessage read_request(std::string_view bytes, Pieces pieces, HeadLimits limits = {}) {
  ReadMessage message;
  RequestParser parser(limits);
  RequestHead head;
  std::string buffer;
  const auto parse = [&](std::string_view text, RequestHead& out) {
    return parser.parse(text, out);
  };
  if (!read_head(bytes, parse, pieces, head, buffer, message)) return message;
  BodyDecoder decoder(head.framing, head.content_length, Origin::kClient);
  read_body(decoder, bytes, pieces, message);
  return message;
}

// The bytes end with the end of the connection, as a body without framing needs.
template <class Pieces>
ReadMessage read_response(std::string_view bytes, Method request, Pieces pieces,
                          HeadLimits limits = {}) {
  ReadMessage message;
  ResponseParser parser(limits);
  ResponseHead head;
  std::string buffer;
  const auto parse = [&](std::string_view text, ResponseHead& out) {
    return parser.parse(text, request, out);
  };
  if (!read_head(bytes, parse, pieces, head, buffer, message)) return message;
  BodyDecoder decoder(head.framing, head.content_length, Origin::kInstance);
  read_body(decoder, bytes, pieces, message);
  if (message.outcome == ReadMessage::Outcome::kIncomplete && decoder.end().ok()) {
    message.outcome = ReadMessage::Outcome::kComplete;
  }
  return message;
}

// The two ways of arrival that matter most.
inline std::size_t all_at_once(std::size_t rest) { return rest; }
inline std::size_t byte_by_byte(std::size_t) { return 1; }

// The first `at` bytes, then the rest.
struct SplitAt {
  std::size_t at;
  bool used = false;
  std::size_t operator()(std::size_t rest) {
    if (used || at == 0 || at >= rest) return rest;
    used = true;
    return at;
  }
};

}  // namespace drover::wire
