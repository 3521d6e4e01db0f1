#pragma once
// Answers that are not HTTP/1.1, or not quite: what a hostile or broken instance may send.

#include <string>
#include <string_view>

#include "base/time.h"
#include "fake_ollama/http.h"
#include "net/task.h"

namespace drover::fake {

//   cl_te         both Content-Length and Transfer-Encoding
//   two_lengths   two Content-Length fields that differ
//   status_line   garbage instead of a status line
//   bad_chunk     a chunk size that is no number
//   extra_bytes   a second answer that nobody asked for
//   short_body    less than promised, then FIN
//   huge_head     a field of 1 MiB
//   many_fields   10,000 fields
//   endless_1xx   100 Continue until the client leaves
//   101           Switching Protocols
//   no_head       FIN before a byte
//   half_head     FIN in the middle of the head
//   http09        a body without a head
//   lf_only       bare LF line ends
bool is_bad_http_variant(std::string_view variant);
std::string bad_http_variants();

// Plays it; the connection ends afterwards.
net::Task<void> answer_badly(net::Loop& loop, Connection& connection, std::string variant);

}  // namespace drover::fake
