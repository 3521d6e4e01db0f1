// Heads that instances send: the same strictness, since an instance may be broken or hostile.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "wire/http_test_reader.h"

namespace drover::wire {
namespace {

using std::string_literals::operator""s;

std::string ok(std::string_view fields, std::string_view body = "") {
  return "HTTP/1.1 200 OK\r\n" + std::string(fields) + "\r\n" + std::string(body);
}

std::string status(std::string_view line, std::string_view fields = "") {
  return std::string(line) + "\r\n" + std::string(fields) + "\r\n";
}

// The views of the fields are not for use: the bytes are gone.
ResponseHead parsed(const std::string& bytes, Method request = Method::kPost) {
  ResponseParser parser;
  ResponseHead head;
  auto result = parser.parse(bytes, request, head);
  EXPECT_TRUE(result.ok() && *result) << bytes;
  return head;
}

const std::vector<std::string>& good_responses() {
  static const std::vector<std::string> all = {
      ok("Content-Length: 2\r\n", "hi"),
      ok("Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n1;x=y\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n"),
      ok("", "until the end"),
      ok("Content-Type: application/x-ndjson\r\nTRANSFER-ENCODING: Chunked\r\n", "0\r\n\r\n"),
      ok("X: \x80\xff\r\nEmpty:\r\nX_Y: kept\r\nContent-Length:\t0\t\r\n"),
      status("HTTP/1.1 200 ", "Content-Length: 0\r\n"),
      status("HTTP/1.1 200", "Content-Length: 0\r\n"),
      status("HTTP/1.0 200 OK", "Content-Length: 0\r\n"),
      status("HTTP/1.1 599 A\tlong \xc3\xa9 reason", "Content-Length: 0\r\n"),
      status("HTTP/1.1 100 Continue"),
      status("HTTP/1.1 204 No Content"),
      status("HTTP/1.1 304 Not Modified", "Content-Length: 100\r\n"),
  };
  return all;
}

TEST(HttpResponse, ASplitAnywhereGivesTheSame) {
  for (const std::string& bytes : good_responses()) {
    const ReadMessage whole = read_response(bytes, Method::kPost, all_at_once);
    EXPECT_EQ(whole.outcome, ReadMessage::Outcome::kComplete) << whole.text();
    EXPECT_EQ(read_response(bytes, Method::kPost, byte_by_byte).text(), whole.text());
    for (std::size_t at = 1; at < bytes.size(); ++at) {
      ASSERT_EQ(read_response(bytes, Method::kPost, SplitAt{at}).text(), whole.text()) << at;
    }
  }
}

TEST(HttpResponse, TheStatusLineIsRead) {
  EXPECT_EQ(parsed(status("HTTP/1.1 404 Not Found")).status, 404);
  EXPECT_EQ(parsed(status("HTTP/1.1 100 Continue")).status, 100);
  EXPECT_EQ(parsed(status("HTTP/1.1 599 ")).status, 599);
  EXPECT_EQ(parsed(status("HTTP/1.0 200 OK")).minor_version, 0);
}

std::vector<std::string> broken_responses() {
  return {
      status("HTTP/1.1 20 OK"),
      status("HTTP/1.1 2000 OK"),
      status("HTTP/1.1 099 OK"),
      status("HTTP/1.1 600 OK"),
      status("HTTP/1.1 abc OK"),
      status("HTTP/1.1  200 OK"),
      status("HTTP/1.1\t200 OK"),
      status("HTTP/1.1 200\tOK"),
      status("HTTP/1.1 200OK"),
      status("HTTP/1.1 +20 OK"),
      status("HTTP/1.2 200 OK"),
      status("HTTP/2.0 200 OK"),
      status("HTTP/2 200"),
      status("http/1.1 200 OK"),
      status("ICY 200 OK"),
      status("HTTP/1.1 200 O\x01K"),
      status("HTTP/1.1 200 O\rK"),
      status("HTTP/1.1 200 O\0K"s),
      status(""),
      "\r\nHTTP/1.1 200 OK\r\n\r\n",
      "HTTP/1.1 200 OK\n\n",
      "HTTP/1.1 200 OK\r\nX: y\n\r\n",
      "HTTP/1.1 200 OK\rX: y\r\r",
      "<html>\r\n\r\n",
      ok("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
      ok("Content-Length: 1\r\nContent-Length: 2\r\n"),
      ok("Content-Length: 1\r\nContent-Length: 1\r\n"),
      ok("Content-Length: 1, 1\r\n"),
      ok("Content-Length: -1\r\n"),
      ok("Content-Length:\r\n"),
      ok("Content-Length: 18446744073709551616\r\n"),
      ok("Transfer-Encoding: gzip\r\n"),
      ok("Transfer-Encoding: identity\r\n"),
      ok("Transfer-Encoding: gzip, chunked\r\n"),
      ok("Transfer-Encoding: chunked, chunked\r\n"),
      ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
      ok("Transfer-Encoding:\r\n"),
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      ok("X : y\r\n"),
      ok(" X: y\r\n"),
      ok("X: a\r\n b\r\n"),
      ok("no colon\r\n"),
      ok(": y\r\n"),
      ok("X: a\x01\r\n"),
      ok("X: a\0\r\n"s),
      ok("[X]: a\r\n"),
      ok("X: " + std::string(200'000, 'x') + "\r\n"),
  };
}

TEST(HttpResponse, BrokenHeadsAreTheInstancesFault) {
  for (const std::string& bytes : broken_responses()) {
    const auto whole = read_response(bytes, Method::kPost, all_at_once);
    ASSERT_TRUE(whole.error) << bytes.substr(0, 60);
    EXPECT_EQ(whole.error->kind, ErrorKind::kUpstream);
    EXPECT_EQ(whole.error->origin, Origin::kInstance);
    EXPECT_EQ(whole.error->retry, Retry::kSafe);
    if (bytes.size() > 1000) continue;
    EXPECT_EQ(read_response(bytes, Method::kPost, byte_by_byte).text(), whole.text());
  }
}

TEST(HttpResponse, FramingIsCheckedEvenWhereNoBodyFollows) {
  ResponseParser parser;
  ResponseHead head;
  const std::string both = ok("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n");
  EXPECT_FALSE(parser.parse(both, Method::kHead, head).ok());
}

TEST(HttpResponse, SomeResponsesNeverHaveABody) {
  const std::string length = "Content-Length: 5\r\n";
  EXPECT_EQ(parsed(ok(length), Method::kHead).framing, Framing::kNone);
  EXPECT_EQ(parsed(ok("Transfer-Encoding: chunked\r\n"), Method::kHead).framing, Framing::kNone);
  EXPECT_EQ(parsed(ok(""), Method::kHead).framing, Framing::kNone);
  EXPECT_EQ(parsed(status("HTTP/1.1 304 Not Modified", length)).framing, Framing::kNone);
  EXPECT_EQ(parsed(status("HTTP/1.1 204 No Content")).framing, Framing::kNone);
  EXPECT_EQ(parsed(status("HTTP/1.1 103 Early Hints")).framing, Framing::kNone);
  EXPECT_TRUE(parsed(ok(length), Method::kHead).keep_alive);
  EXPECT_TRUE(parsed(status("HTTP/1.1 304 Not Modified", length)).keep_alive);
  EXPECT_TRUE(parsed(status("HTTP/1.1 204 No Content", "Content-Length: 0\r\n")).keep_alive);
}

TEST(HttpResponse, ADeclaredBodyWhereNoneCanBeEndsTheConnection) {
  const auto no_content = parsed(status("HTTP/1.1 204 No Content", "Content-Length: 5\r\n"));
  EXPECT_EQ(no_content.framing, Framing::kNone);
  EXPECT_FALSE(no_content.keep_alive);
  EXPECT_FALSE(
      parsed(status("HTTP/1.1 100 Continue", "Transfer-Encoding: chunked\r\n")).keep_alive);
}

TEST(HttpResponse, WithoutFramingTheBodyEndsWithTheConnection) {
  const ResponseHead head = parsed(ok("Connection: keep-alive\r\n"));
  EXPECT_EQ(head.framing, Framing::kUntilClose);
  EXPECT_FALSE(head.keep_alive);
}

TEST(HttpResponse, ConnectionsAreKeptAsTheFieldsSay) {
  const std::string length = "Content-Length: 0\r\n";
  const auto keeps = [&](std::string_view line, std::string_view connection) {
    return parsed(status(line, length + std::string(connection))).keep_alive;
  };
  EXPECT_TRUE(keeps("HTTP/1.1 200 OK", ""));
  EXPECT_FALSE(keeps("HTTP/1.1 200 OK", "Connection: Close\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.0 200 OK", ""));
  EXPECT_TRUE(keeps("HTTP/1.0 200 OK", "Connection: keep-alive\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.0 200 OK", "Connection: keep-alive\r\nConnection: close\r\n"));
}

TEST(HttpResponse, BytesAfterTheHeadAreLeft) {
  const std::string bytes = status("HTTP/1.1 100 Continue") + ok("Content-Length: 0\r\n");
  ResponseParser parser;
  ResponseHead head;
  auto first = parser.parse(bytes, Method::kPost, head);
  ASSERT_TRUE(first.ok() && *first);
  EXPECT_EQ(head.status, 100);
  ASSERT_TRUE(parser.parse(std::string_view(bytes).substr(**first), Method::kPost, head).ok());
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.fields.size(), 1U);
  EXPECT_EQ(head.find("content-length"), "0");
}

TEST(HttpResponse, LimitsHoldExactly) {
  const std::string bytes = ok("X: y\r\nX: z\r\n");
  const auto fits = [&](HeadLimits limits) {
    const auto whole = read_response(bytes, Method::kPost, all_at_once, limits);
    EXPECT_EQ(whole.text(), read_response(bytes, Method::kPost, byte_by_byte, limits).text());
    return !whole.error;
  };
  EXPECT_TRUE(fits({.max_bytes = bytes.size()}));
  EXPECT_FALSE(fits({.max_bytes = bytes.size() - 1}));
  EXPECT_TRUE(fits({.max_fields = 2}));
  EXPECT_FALSE(fits({.max_fields = 1}));
}

TEST(HttpResponse, AParserIsReadyForTheNextHeadAfterAnError) {
  ResponseParser parser;
  ResponseHead head;
  ASSERT_FALSE(*parser.parse("HTTP/1.1 200 OK\r\nX: y", Method::kGet, head));
  ASSERT_FALSE(parser.parse("HTTP/1.1 200 OK\r\nX: y\n", Method::kGet, head).ok());
  EXPECT_TRUE(parser.parse(ok("Content-Length: 0\r\n"), Method::kGet, head).ok());
}

}  // namespace
}  // namespace drover::wire
