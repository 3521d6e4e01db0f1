#include "fake_ollama/bad_http.h"

#include <array>

namespace drover::fake {
namespace {

constexpr std::string_view kOk =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

struct Row {
  std::string_view variant;
  std::string_view bytes;  // empty: made by answer_badly
};

constexpr std::array<Row, 14> kRows = {{
    {"cl_te",
     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
     "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"},
    {"two_lengths",
     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
     "Content-Length: 3\r\n\r\n{} "},
    {"status_line", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n"},
    {"bad_chunk",
     "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
     "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"},
    {"extra_bytes", ""},
    {"short_body",
     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{}"},
    {"huge_head", ""},
    {"many_fields", ""},
    {"endless_1xx", ""},
    {"101",
     "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
    {"no_head", ""},
    {"half_head", "HTTP/1.1 200 OK\r\nContent-Ty"},
    {"http09", "<html><body>It works!</body></html>"},
    {"lf_only", "HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: 2\n\n{}"},
}};

constexpr Duration kBetweenInterim = std::chrono::milliseconds(1);

const Row* row_of(std::string_view variant) {
  for (const Row& row : kRows) {
    if (row.variant == variant) return &row;
  }
  return nullptr;
}

std::string made_bytes(std::string_view variant) {
  std::string out;
  if (variant == "extra_bytes") {
    out = std::string(kOk) + std::string(kOk);
  } else if (variant == "huge_head") {
    out =
        "HTTP/1.1 200 OK\r\nX-Long: " + std::string(1 << 20, 'x') + "\r\nContent-Length: 0\r\n\r\n";
  } else if (variant == "many_fields") {
    out = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 10'000; ++i) out += "X-Many: 1\r\n";
    out += "Content-Length: 0\r\n\r\n";
  }
  return out;
}

}  // namespace

bool is_bad_http_variant(std::string_view variant) { return row_of(variant) != nullptr; }

std::string bad_http_variants() {
  std::string out;
  for (const Row& row : kRows) out += (out.empty() ? "" : ", ") + std::string(row.variant);
  return out;
}

net::Task<void> answer_badly(net::Loop& loop, Connection& connection, std::string variant) {
  connection.close_after();
  const Row* row = row_of(variant);
  if (row == nullptr) co_return;
  if (variant == "endless_1xx") {
    for (;;) {
      connection.put("HTTP/1.1 100 Continue\r\n\r\n");
      const bool sent = co_await connection.drain();
      if (!sent) co_return;
      const net::WaitResult slept = co_await loop.sleep_for(kBetweenInterim, &connection.gone());
      if (slept == net::WaitResult::kCancelled) co_return;
    }
  }
  const std::string made = made_bytes(variant);
  connection.put(made.empty() ? row->bytes : std::string_view(made));
  // After these the connection stays: what is wrong must be seen without help from a FIN.
  if (variant == "extra_bytes" || variant == "101") {
    (void)co_await connection.drain();
    (void)co_await loop.sleep_until(kNever, &connection.gone());
    co_return;
  }
  co_await connection.linger();
}

}  // namespace drover::fake
