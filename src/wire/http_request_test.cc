// Requests that are legal, however odd, and are served; and the bounds, at N and at N+1.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "wire/http_test_reader.h"

namespace drover::wire {
namespace {

using namespace std::string_view_literals;
using std::string_literals::operator""s;

struct Oddity {
  std::string_view name;
  std::string bytes;
  std::string expected;  // as summary() says it
};

// One line that holds all that a row of the table is about.
std::string summary(const std::string& bytes) {
  RequestParser parser;
  RequestHead head;
  auto parsed = parser.parse(bytes, head);
  if (!parsed) return "refused: " + parsed.error().message;
  if (!*parsed) return "incomplete";
  const ReadMessage message = read_request(bytes, all_at_once);
  if (message.error) return "body refused: " + message.error->message;
  std::string out = std::string(head.method_text) + " " + std::string(head.target);
  out += " @" + std::string(head.authority) + " 1." + std::to_string(head.minor_version);
  out += head.keep_alive ? " keep" : " close";
  if (head.expect_continue) out += " expect";
  if (head.framing == Framing::kLength) out += " length";
  if (head.framing == Framing::kChunked) out += " chunked";
  if (!message.body.empty()) out += " [" + message.body + "]";
  if (const auto value = head.find("x")) out += " x=<" + std::string(*value) + ">";
  if (message.consumed != bytes.size()) out += " left over";
  return out;
}

std::string get(std::string_view target, std::string_view fields = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}

std::string post(std::string_view fields, std::string_view body) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n" + std::string(body);
}

std::string chunked(std::string_view body) { return post("Transfer-Encoding: chunked\r\n", body); }

std::string with_host(std::string_view host) {
  return "GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n";
}

std::string absolute(std::string_view url, std::string_view host) {
  return "GET " + std::string(url) + " HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n";
}

std::vector<Oddity> line_oddities() {
  return {
      {"one empty line before", "\r\n" + get("/"), "GET / @a 1.1 keep"},
      {"HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / @a 1.0 close"},
      {"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", "GET / @ 1.0 close"},
      {"HTTP/1.0 that stays", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
       "GET / @ 1.0 keep"},
      {"HTTP/1.0 with both", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
       "GET / @ 1.0 close"},
      {"HTTP/1.0 with a body", "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
       "POST / @ 1.0 close length [hi]"},
      {"HTTP/1.0 in absolute form", "GET http://b/x HTTP/1.0\r\n\r\n", "GET /x @b 1.0 close"},
      {"HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD / @a 1.1 keep"},
      {"OPTIONS of the server", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * @a 1.1 keep"},
      {"OPTIONS of a path", "OPTIONS /v1 HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS /v1 @a 1.1 keep"},
      {"PUT, PATCH and others", "PATCH / HTTP/1.1\r\nHost: a\r\n\r\n", "PATCH / @a 1.1 keep"},
      {"a method nobody knows", "M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", "M-SEARCH / @a 1.1 keep"},
      {"a method of odd letters", "!#$%&'*+-.^_`|~ / HTTP/1.1\r\nHost: a\r\n\r\n",
       "!#$%&'*+-.^_`|~ / @a 1.1 keep"},
      {"a method in lower case is another one", "get / HTTP/1.1\r\nHost: a\r\n\r\n",
       "get / @a 1.1 keep"},
      {"a method as long as allowed", std::string(32, 'M') + " / HTTP/1.1\r\nHost: a\r\n\r\n",
       std::string(32, 'M') + " / @a 1.1 keep"},
      {"DELETE with a body", "DELETE /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
       "DELETE /x @a 1.1 keep length [{}]"},
      {"GET with a body", get("/", "Content-Length: 1\r\n") + "x", "GET / @a 1.1 keep length [x]"},
      {"HEAD with a chunked body",
       "HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
       "HEAD / @a 1.1 keep chunked [x]"},
      {"empty query", get("/?"), "GET /? @a 1.1 keep"},
      {"question marks in a query", get("/?a=?&b=/?"), "GET /?a=?&b=/? @a 1.1 keep"},
      {"all that a path may hold", get("/-._~!$&'()*+,;=:@"), "GET /-._~!$&'()*+,;=:@ @a 1.1 keep"},
      {"escapes that need none", get("/v1/models/llama3%3A8b"),
       "GET /v1/models/llama3%3A8b @a 1.1 keep"},
      {"escapes in either case", get("/%c3%A9?%e2%9C%93"), "GET /%c3%A9?%e2%9C%93 @a 1.1 keep"},
      {"empty segments are for the routes to refuse", get("//a"), "GET //a @a 1.1 keep"},
      {"absolute form", absolute("http://a/x?y", "a"), "GET /x?y @a 1.1 keep"},
      {"absolute form without a path", absolute("http://a", "a"), "GET / @a 1.1 keep"},
      {"absolute form, case aside", absolute("HTTP://A.Example/x", "a.example"),
       "GET /x @A.Example 1.1 keep"},
      {"absolute form, default port said once", absolute("http://a:80/", "a"),
       "GET / @a:80 1.1 keep"},
      {"absolute form, default port said in Host", absolute("http://a/", "a:80"),
       "GET / @a 1.1 keep"},
      {"absolute form over https", absolute("https://a/", "a:443"), "GET / @a 1.1 keep"},
      {"absolute form with a port", absolute("http://a:11434/", "a:11434"),
       "GET / @a:11434 1.1 keep"},
      {"absolute form with IPv6", absolute("http://[::1]:80/", "[::1]"),
       "GET / @[::1]:80 1.1 keep"},
  };
}

std::vector<Oddity> host_oddities() {
  return {
      {"host with a port", with_host("localhost:11434"), "GET / @localhost:11434 1.1 keep"},
      {"host with an empty port", with_host("a:"), "GET / @a: 1.1 keep"},
      {"IPv4", with_host("127.0.0.1:80"), "GET / @127.0.0.1:80 1.1 keep"},
      {"IPv6", with_host("[::1]"), "GET / @[::1] 1.1 keep"},
      {"IPv6 with a port", with_host("[2001:db8::1]:11434"), "GET / @[2001:db8::1]:11434 1.1 keep"},
      {"IPv6 in full", with_host("[1:2:3:4:5:6:7:8]"), "GET / @[1:2:3:4:5:6:7:8] 1.1 keep"},
      {"IPv6 with IPv4 in it", with_host("[::ffff:192.0.2.1]"),
       "GET / @[::ffff:192.0.2.1] 1.1 keep"},
      {"IPv6 of nothing but a gap", with_host("[::]"), "GET / @[::] 1.1 keep"},
      {"name with underscore", with_host("gpu_box.lan"), "GET / @gpu_box.lan 1.1 keep"},
      {"name with a final dot", with_host("a.example."), "GET / @a.example. 1.1 keep"},
      {"name in capitals", with_host("LOCALHOST"), "GET / @LOCALHOST 1.1 keep"},
      {"port with zeros in front", with_host("a:00080"), "GET / @a:00080 1.1 keep"},
      {"name as long as allowed", with_host(std::string(255, 'a')),
       "GET / @" + std::string(255, 'a') + " 1.1 keep"},
  };
}

std::vector<Oddity> field_oddities() {
  const std::string odd_name = "!#$%&'*+-.^`|~09azAZ: v\r\n";
  return {
      {"names in odd case", "GET / HTTP/1.1\r\nhOsT: a\r\nX: y\r\n\r\n", "GET / @a 1.1 keep x=<y>"},
      {"no space after the colon", "GET / HTTP/1.1\r\nHost:a\r\nX:y\r\n\r\n",
       "GET / @a 1.1 keep x=<y>"},
      {"tabs around a value", get("/", "X:\t \ty\t \t\r\n"), "GET / @a 1.1 keep x=<y>"},
      {"spaces and tabs in a value", get("/", "X: a \t b\r\n"), "GET / @a 1.1 keep x=<a \t b>"},
      {"empty value", get("/", "X:\r\n"), "GET / @a 1.1 keep x=<>"},
      {"value of white space", get("/", "X: \t \r\n"), "GET / @a 1.1 keep x=<>"},
      {"colons in a value", get("/", "X: a:b::c\r\n"), "GET / @a 1.1 keep x=<a:b::c>"},
      {"octets from 0x80 in a value", get("/", "X: \x80\xff\xc3\xa9\r\n"),
       "GET / @a 1.1 keep x=<\x80\xff\xc3\xa9>"},
      {"quotes and brackets in a value", get("/", "X: \"(\\\")<>[]{}\"\r\n"),
       "GET / @a 1.1 keep x=<\"(\\\")<>[]{}\">"},
      {"all that a name may hold", get("/", odd_name), "GET / @a 1.1 keep"},
      {"one-letter name", get("/", "X: y\r\n"), "GET / @a 1.1 keep x=<y>"},
      {"the first of equal fields is found", get("/", "X: 1\r\nX: 2\r\n"),
       "GET / @a 1.1 keep x=<1>"},
      {"Host last", "GET / HTTP/1.1\r\nX: y\r\nHost: a\r\n\r\n", "GET / @a 1.1 keep x=<y>"},
      {"Connection: close", get("/", "Connection: close\r\n"), "GET / @a 1.1 close"},
      {"Connection in odd case", get("/", "Connection: CLOSE\r\n"), "GET / @a 1.1 close"},
      {"close in a list", get("/", "Connection: ,x , \tclose,\r\n"), "GET / @a 1.1 close"},
      {"close in a second field", get("/", "Connection: keep-alive\r\nConnection: close\r\n"),
       "GET / @a 1.1 close"},
      {"close as part of a word", get("/", "Connection: closed, not-close\r\n"),
       "GET / @a 1.1 keep"},
      {"Upgrade is not taken up", get("/", "Connection: upgrade\r\nUpgrade: h2c\r\n"),
       "GET / @a 1.1 keep"},
      {"trailers announced", get("/", "TE: trailers\r\nTrailer: X-Sum\r\n"), "GET / @a 1.1 keep"},
  };
}

std::vector<Oddity> body_oddities() {
  const std::string long_extension = "2;" + std::string(4095, 'x') + "\r\nhi\r\n0\r\n\r\n";
  const std::string long_trailer = "0\r\nx: " + std::string(8192 - 5, 'x') + "\r\n\r\n";
  return {
      {"length zero", post("Content-Length: 0\r\n", ""), "POST / @a 1.1 keep length"},
      {"length with zeros in front", post("Content-Length: 0000000000000000002\r\n", "hi"),
       "POST / @a 1.1 keep length [hi]"},
      {"length between tabs", post("Content-Length:\t2\t\r\n", "hi"),
       "POST / @a 1.1 keep length [hi]"},
      {"POST without a body", post("", ""), "POST / @a 1.1 keep"},
      {"expectation", post("Expect: 100-continue\r\nContent-Length: 2\r\n", "hi"),
       "POST / @a 1.1 keep expect length [hi]"},
      {"expectation in odd case", post("expect: 100-CONTINUE\r\nContent-Length: 2\r\n", "hi"),
       "POST / @a 1.1 keep expect length [hi]"},
      {"expectation of nothing", post("Expect: 100-continue\r\n", ""), "POST / @a 1.1 keep"},
      {"expectation in HTTP/1.0",
       "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
       "POST / @ 1.0 close length [hi]"},
      {"CHUNKED", post("TRANSFER-ENCODING: CHUNKED\r\n", "0\r\n\r\n"),
       "POST / @a 1.1 keep chunked"},
      {"several chunks", chunked("1\r\nh\r\n1\r\ni\r\n0\r\n\r\n"),
       "POST / @a 1.1 keep chunked [hi]"},
      {"no chunk but the last", chunked("0\r\n\r\n"), "POST / @a 1.1 keep chunked"},
      {"last chunk of many zeros", chunked("0000000000000000\r\n\r\n"),
       "POST / @a 1.1 keep chunked"},
      {"sizes in either case", chunked("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"),
       "POST / @a 1.1 keep chunked [01234567890123456789]"},
      {"size of 16 digits", chunked("0000000000000002\r\nhi\r\n0\r\n\r\n"),
       "POST / @a 1.1 keep chunked [hi]"},
      {"an extension", chunked("2;name=value\r\nhi\r\n0\r\n\r\n"),
       "POST / @a 1.1 keep chunked [hi]"},
      {"an extension with quotes and spaces", chunked("2; a = \"b;\\\"c\" ;d\r\nhi\r\n0;e\r\n\r\n"),
       "POST / @a 1.1 keep chunked [hi]"},
      {"an extension with octets from 0x80", chunked("2;a=\"\xc3\xa9\"\r\nhi\r\n0\r\n\r\n"),
       "POST / @a 1.1 keep chunked [hi]"},
      {"an extension as long as allowed", chunked(long_extension),
       "POST / @a 1.1 keep chunked [hi]"},
      {"trailers", chunked("2\r\nhi\r\n0\r\nX-Sum: 1\r\nX:\r\n\r\n"),
       "POST / @a 1.1 keep chunked [hi]"},
      {"trailers that would frame", chunked("0\r\nContent-Length: 9\r\nHost: b\r\n\r\n"),
       "POST / @a 1.1 keep chunked"},
      {"trailers as long as allowed", chunked(long_trailer), "POST / @a 1.1 keep chunked"},
      {"chunk data that looks like framing", chunked("7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n"),
       "POST / @a 1.1 keep chunked [0\r\n\r\n\r\n]"},
  };
}

std::vector<Oddity> all_oddities() {
  std::vector<Oddity> all;
  for (const auto& group : {line_oddities(), host_oddities(), field_oddities(), body_oddities()}) {
    all.insert(all.end(), group.begin(), group.end());
  }
  return all;
}

TEST(HttpRequest, LegalOdditiesAreServed) {
  std::size_t served = 0;
  for (const Oddity& row : all_oddities()) {
    EXPECT_EQ(summary(row.bytes), row.expected) << row.name;
    served += summary(row.bytes) == row.expected ? 1 : 0;
  }
  EXPECT_GE(served, 60U);
  std::printf("legal oddities served: %zu of %zu\n", served, all_oddities().size());
}

TEST(HttpRequest, OneByteAtATimeGivesTheSame) {
  for (const Oddity& row : all_oddities()) {
    EXPECT_EQ(read_request(row.bytes, byte_by_byte).text(),
              read_request(row.bytes, all_at_once).text())
        << row.name;
  }
}

TEST(HttpRequest, ASplitAnywhereGivesTheSame) {
  for (const Oddity& row : all_oddities()) {
    if (row.bytes.size() > 1000) continue;
    const std::string whole = read_request(row.bytes, all_at_once).text();
    for (std::size_t at = 1; at < row.bytes.size(); ++at) {
      ASSERT_EQ(read_request(row.bytes, SplitAt{at}).text(), whole) << row.name << " at " << at;
    }
  }
}

TEST(HttpRequest, EveryProperPrefixAsksForMore) {
  for (const Oddity& row : all_oddities()) {
    if (row.bytes.size() > 1000) continue;
    for (std::size_t size = 0; size < row.bytes.size(); ++size) {
      const auto message = read_request(std::string_view(row.bytes).substr(0, size), all_at_once);
      EXPECT_FALSE(message.error) << row.name << " at " << size;
    }
  }
}

// Whatever follows on the connection is not touched: the next head starts where this one ended.
TEST(HttpRequest, PipelinedRequestsAreReadInOrder) {
  std::string bytes;
  std::size_t count = 0;
  for (const Oddity& row : all_oddities()) {
    bytes += row.bytes;
    ++count;
  }
  std::size_t read = 0;
  for (std::string_view rest = bytes; !rest.empty(); ++read) {
    const auto message = read_request(rest, all_at_once);
    ASSERT_EQ(message.outcome, ReadMessage::Outcome::kComplete) << read << message.text();
    rest.remove_prefix(message.consumed);
  }
  EXPECT_EQ(read, count);
}

TEST(HttpRequest, AParserIsReadyForTheNextHeadAfterASuccess) {
  RequestParser parser;
  RequestHead head;
  const std::string first = get("/first", "X: 1\r\n");
  const std::string both = first + get("/second");
  ASSERT_FALSE(*parser.parse(first.substr(0, 20), head));
  auto parsed = parser.parse(both, head);
  ASSERT_TRUE(parsed.ok());
  ASSERT_EQ(**parsed, first.size());
  EXPECT_EQ(head.bytes, first.size());
  ASSERT_TRUE(parser.parse(std::string_view(both).substr(first.size()), head).ok());
  EXPECT_EQ(head.path, "/second");
  EXPECT_EQ(head.fields.size(), 1U);
}

TEST(HttpRequest, AParserIsReadyForTheNextHeadAfterAnError) {
  RequestParser parser;
  RequestHead head;
  const std::string bad = "GET / HTTP/1.1\r\nHost: a\r\nX";
  ASSERT_FALSE(*parser.parse(bad, head));
  EXPECT_FALSE(parser.parse(bad + "\n", head).ok());
  EXPECT_FALSE(parser.parse(bad + "\n", head).ok()) << "the same bytes, the same answer";
  const std::string good = get("/again");
  ASSERT_TRUE(parser.parse(good, head).ok());
  EXPECT_EQ(head.path, "/again");
}

TEST(HttpRequest, APartialHeadCanBeAbandonedWithReset) {
  RequestParser parser;
  RequestHead head;
  ASSERT_FALSE(*parser.parse("GET /a HTTP/1.1\r\nHost: a\r\nLong-Field: long", head));
  parser.reset();
  const std::string next = get("/b");
  ASSERT_TRUE(parser.parse(next, head).ok());
  EXPECT_EQ(head.path, "/b");
}

TEST(HttpRequest, ARequestLineIsRefusedBeforeTheFieldsArrive) {
  RequestParser parser;
  RequestHead head;
  auto parsed = parser.parse("GET / HTTP/2.0\r\n", head);
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().kind, ErrorKind::kHttpVersion);
}

TEST(HttpRequest, TheHeadKnowsItsParts) {
  RequestParser parser;
  RequestHead head;
  const std::string bytes = get("/a/b?c=d", "X-Y: z\r\n") + "body";
  auto parsed = parser.parse(bytes, head);
  ASSERT_TRUE(parsed.ok() && *parsed);
  EXPECT_EQ(head.method, Method::kGet);
  EXPECT_EQ(head.target, "/a/b?c=d");
  EXPECT_EQ(head.path, "/a/b");
  EXPECT_EQ(head.query, "c=d");
  EXPECT_EQ(head.bytes, bytes.size() - 4);
  EXPECT_EQ(head.find("x-y"), "z");
  EXPECT_FALSE(head.find("x-z"));
}

TEST(HttpRequest, EveryMethodHasItsName) {
  const std::vector<std::pair<std::string, Method>> methods = {
      {"GET", Method::kGet},         {"HEAD", Method::kHead},   {"POST", Method::kPost},
      {"PUT", Method::kPut},         {"PATCH", Method::kPatch}, {"DELETE", Method::kDelete},
      {"OPTIONS", Method::kOptions}, {"TRACE", Method::kOther}, {"Get", Method::kOther}};
  for (const auto& [name, method] : methods) {
    RequestParser parser;
    RequestHead head;
    const std::string bytes = name + " / HTTP/1.1\r\nHost: a\r\n\r\n";
    ASSERT_TRUE(parser.parse(bytes, head).ok());
    EXPECT_EQ(head.method, method) << name;
    EXPECT_EQ(head.method_text, name);
  }
}

// What the parser says to `bytes` under `limits`, whole and byte by byte.
std::string verdict(const std::string& bytes, HeadLimits limits) {
  const auto whole = read_request(bytes, all_at_once, limits);
  const auto pieces = read_request(bytes, byte_by_byte, limits);
  EXPECT_EQ(whole.text(), pieces.text());
  if (!whole.error) return whole.head.empty() ? "more" : "accepted";
  return std::string(to_string(whole.error->kind));
}

const std::string kTooLarge{to_string(ErrorKind::kHeadTooLarge)};
const std::string kTooLong{to_string(ErrorKind::kTargetTooLong)};

TEST(HttpRequestLimits, AHeadMayHaveExactlyTheBytesAllowed) {
  const std::string bytes = get("/", "X: y\r\n");
  EXPECT_EQ(verdict(bytes, {.max_bytes = bytes.size()}), "accepted");
  EXPECT_EQ(verdict(bytes, {.max_bytes = bytes.size() - 1}), kTooLarge);
  EXPECT_EQ(verdict("\r\n" + bytes, {.max_bytes = bytes.size()}), kTooLarge);
}

TEST(HttpRequestLimits, TheDefaultHeadIs64KiB) {
  const std::size_t frame = get("/", "X: \r\n").size();
  const auto sized = [&](std::size_t size) {
    return get("/", "X: " + std::string(size - frame, 'x') + "\r\n");
  };
  RequestParser parser;
  RequestHead head;
  EXPECT_TRUE(parser.parse(sized(65536), head).ok());
  auto refused = parser.parse(sized(65537), head);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kHeadTooLarge);
  EXPECT_EQ(refused.error().message, "The message head is longer than 65536 bytes.");
}

TEST(HttpRequestLimits, AFullBufferWithoutAnEndIsRefusedAtOnce) {
  RequestParser parser;
  RequestHead head;
  std::string bytes = "GET / HTTP/1.1\r\nX: ";
  bytes.resize(65535, 'x');
  ASSERT_TRUE(parser.parse(bytes, head).ok());
  EXPECT_FALSE(parser.parse(bytes + "x", head).ok());
}

TEST(HttpRequestLimits, FieldsAreCountedDroppedOnesIncluded) {
  const std::string three = get("/", "x: 1\r\nx_y: 2\r\n");
  EXPECT_EQ(verdict(three, {.max_fields = 3}), "accepted");
  EXPECT_EQ(verdict(three, {.max_fields = 2}), kTooLarge);
}

TEST(HttpRequestLimits, TheDefaultIsAHundredFields) {
  std::string fields;
  for (int i = 0; i < 99; ++i) fields += "x: y\r\n";
  EXPECT_EQ(verdict(get("/", fields), {}), "accepted");
  EXPECT_EQ(verdict(get("/", fields + "x: y\r\n"), {}), kTooLarge);
}

TEST(HttpRequestLimits, ATargetMayHaveExactlyTheBytesAllowed) {
  EXPECT_EQ(verdict(get("/" + std::string(8191, 'x')), {}), "accepted");
  EXPECT_EQ(verdict(get("/" + std::string(8192, 'x')), {}), kTooLong);
  EXPECT_EQ(verdict(get("/123"), {.max_target = 4}), "accepted");
  EXPECT_EQ(verdict(get("/1234"), {.max_target = 4}), kTooLong);
}

TEST(HttpRequestLimits, ALongTargetIsRefusedBeforeItsLineEnds) {
  RequestParser parser;
  RequestHead head;
  auto parsed = parser.parse("GET /" + std::string(9000, 'x'), head);
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().kind, ErrorKind::kTargetTooLong);
  EXPECT_EQ(parsed.error().message, "The request target is longer than 8192 bytes.");
}

TEST(HttpRequestLimits, AMethodHasAtMost32Letters) {
  const std::string rest = " / HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string unsupported{to_string(ErrorKind::kUnsupported)};
  EXPECT_EQ(verdict(std::string(32, 'M') + rest, {}), "accepted");
  EXPECT_EQ(verdict(std::string(33, 'M') + rest, {}), unsupported);
  EXPECT_EQ(verdict(std::string(10'000, 'M') + rest, {}), unsupported);
}

TEST(HttpRequestLimits, EmptyLinesBeforeARequestAreForgivenUpToTheLimit) {
  const std::string malformed{to_string(ErrorKind::kMalformed)};
  EXPECT_EQ(verdict("\r\n" + get("/"), {}), "accepted");
  EXPECT_EQ(verdict("\r\n\r\n" + get("/"), {}), malformed);
  EXPECT_EQ(verdict("\r\n" + get("/"), {.max_leading_crlf = 0}), malformed);
  EXPECT_EQ(verdict("\r\n\r\n" + get("/"), {.max_leading_crlf = 2}), "accepted");
}

TEST(HttpRequestLimits, AHostHasAtMost255Letters) {
  const std::string malformed{to_string(ErrorKind::kMalformed)};
  EXPECT_EQ(verdict(with_host(std::string(255, 'a') + ":80"), {}), "accepted");
  EXPECT_EQ(verdict(with_host(std::string(256, 'a')), {}), malformed);
  EXPECT_EQ(verdict(with_host("a:65535"), {}), "accepted");
  EXPECT_EQ(verdict(with_host("a:65536"), {}), malformed);
}

TEST(HttpRequestLimits, ALengthFitsInto63Bits) {
  EXPECT_EQ(verdict(post("Content-Length: 9223372036854775807\r\n", ""), {}), "accepted");
  EXPECT_EQ(verdict(post("Content-Length: 9223372036854775808\r\n", ""), {}),
            to_string(ErrorKind::kMalformed));
}

TEST(HttpRequestExpect, OnlyContinueCanBeExpected) {
  const std::string refused{to_string(ErrorKind::kExpectation)};
  for (const auto* value :
       {"", "200-ok", "100-continue, x", "100-continue;x", "\"100-continue\""}) {
    const std::string field = "Expect: " + std::string(value) + "\r\n";
    EXPECT_EQ(verdict(post(field + "Content-Length: 1\r\n", "x"), {}), refused) << value;
  }
  EXPECT_EQ(verdict(post("Expect: 100-continue\r\nExpect: x\r\nContent-Length: 1\r\n", "x"), {}),
            refused);
}

TEST(HttpRequestExpect, AMalformedHeadIsMalformedWhateverItExpects) {
  EXPECT_EQ(verdict(post("Expect: x\r\nContent-Length: x\r\n", ""), {}),
            to_string(ErrorKind::kMalformed));
}

// The buffer of a connection grows and moves: the views must be those of the last call.
TEST(HttpRequest, ViewsPointIntoTheBytesOfTheSuccessfulCall) {
  RequestParser parser;
  RequestHead head;
  const std::string bytes = get("/path", "X: y\r\n");
  std::string early = bytes.substr(0, bytes.size() - 1);
  ASSERT_FALSE(*parser.parse(early, head));
  early.assign(early.size(), '#');
  ASSERT_TRUE(*parser.parse(bytes, head));
  const auto inside = [&](std::string_view view) {
    return view.data() >= bytes.data() && view.data() + view.size() <= bytes.data() + bytes.size();
  };
  EXPECT_TRUE(inside(head.method_text) && inside(head.target) && inside(head.authority));
  for (const Field& field : head.fields) EXPECT_TRUE(inside(field.name) && inside(field.value));
}

}  // namespace
}  // namespace drover::wire
