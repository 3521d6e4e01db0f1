#pragma once
// For fuzz targets only: what HTTP/1 messages are made of.

#include <cstddef>
#include <string>
#include <string_view>

#include "wire/fuzz_grammar.h"
#include "wire/http_body.h"

namespace drover::wire {

inline constexpr std::string_view kHttpLines[] = {
    "GET / HTTP/1.1\r\n",
    "POST /api/chat HTTP/1.1\r\n",
    "POST /v1/chat/completions?a=b HTTP/1.0\r\n",
    "DELETE http://localhost:11434/api/tags HTTP/1.1\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.0 204 \r\n",
    "HTTP/1.1 304\r\n",
    "Host: localhost:11434\r\n",
    "Host: [::1]\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Content-Length: 5, 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer_Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive, Host\r\n",
    "Connection: Upgrade\r\n",
    "Upgrade: h2c\r\n",
    "Expect: 100-continue\r\n",
    "Trailer: X\r\n",
    "TE: trailers\r\n",
    "X-Obs: \x80\xff\r\n",
    " folded\r\n",
    "X :space\r\n",
    "NoColon\r\n",
    ":\r\n",
    "\r\n",
    "\n",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\nX: y\r\n\r\n",
    "00000000000000005\r\nhello\r\n",
    "5;a=\"b;\r\n c\"\r\nhello\r\n",
    "FFFFFFFFFFFFFFFF\r\n",
    "1 \r\na\r\n",
};

inline constexpr std::string_view kHttpWords[] = {
    "GET",      "POST",
    "HEAD",     "PUT",
    "CONNECT",  "PRI",
    "HTTP/1.1", "HTTP/1.0",
    "HTTP/2.0", "200",
    "101",      "204",
    "304",      "999",
    "*",        "//",
    "/../",     "%2e",
    "%2f",      "%00",
    "%",        "?",
    "#",        "\\",
    "http://",  "https://",
    "@",        ":80",
    "[::]",     "chunked",
    "identity", "gzip",
    "-1",       "+1",
    "0x1",      "00",
    "1e1",      " ",
    "\t",       "\r",
    "\n",       "\r\n",
    ",",        ";",
    ":",        std::string_view("\0", 1),
    "\x7f",     "\x80",
    "\x0b",     "\x0c",
    "\xa0",     "\"",
    "_",        "=",
};

namespace http_fuzz_detail {

inline void set_content_length(std::string& text, std::size_t head_end) {
  constexpr std::string_view kName = "Content-Length: ";
  const std::size_t name = text.find(kName);
  if (name >= head_end) return;
  const std::size_t value = name + kName.size();
  const std::size_t end = text.find("\r\n", value);
  text.replace(value, end - value, std::to_string(text.size() - head_end));
}

inline void chunk_anew(std::string& text, std::size_t head_end) {
  const std::string body = text.substr(head_end);
  text.resize(head_end);
  // Two chunks: a message of one shows no boundary.
  for (const std::string& part : {body.substr(0, body.size() / 2), body.substr(body.size() / 2)}) {
    if (part.empty()) continue;
    text += ChunkHead(part.size()).view();
    text += part + "\r\n";
  }
  text += kLastChunk;
}

}  // namespace http_fuzz_detail

// What is announced of the body comes true.
inline void repair_framing(std::string& text) {
  const std::size_t head = text.find("\r\n\r\n");
  if (head == std::string::npos) return;
  const std::size_t head_end = head + 4;
  const bool chunked = text.find("Transfer-Encoding: chunked") < head_end;
  if (chunked) return http_fuzz_detail::chunk_anew(text, head_end);
  http_fuzz_detail::set_content_length(text, head_end);
}

inline void repair_chunks(std::string& text) { http_fuzz_detail::chunk_anew(text, 0); }

inline constexpr FuzzGrammar kHttpGrammar{"\r\n", kHttpLines, kHttpWords, repair_framing};
inline constexpr FuzzGrammar kChunksGrammar{"\r\n", kHttpLines, kHttpWords, repair_chunks};

}  // namespace drover::wire
