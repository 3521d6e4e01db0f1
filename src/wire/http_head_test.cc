// The small questions about names, lists and paths.
#include "wire/http_head.h"

#include <gtest/gtest.h>

#include <string>

namespace drover::wire {
namespace {

using std::string_literals::operator""s;

TEST(HttpFields, NamesCompareWithoutCase) {
  EXPECT_TRUE(field_is("Content-LENGTH", "content-length"));
  EXPECT_FALSE(field_is("Content-Lengt", "content-length"));
  EXPECT_FALSE(field_is("Content_Length", "content-length"));
  EXPECT_FALSE(field_is("\rost", "-ost")) << "only letters have a case";
  EXPECT_TRUE(field_is("", ""));
}

// The bytes are compared several at a time: one that differs is seen at every place.
TEST(HttpFields, ADifferenceIsSeenAtEveryPlaceOfEveryLength) {
  const std::string letters = "x-forwarded-for-0123456789/abcdef";
  for (std::size_t size = 1; size <= letters.size(); ++size) {
    const std::string lower = letters.substr(0, size);
    for (std::size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string name = lower;
        name[at] = static_cast<char>(byte);
        const bool upper = byte >= 'A' && byte <= 'Z' && byte + 32 == lower[at];
        EXPECT_EQ(field_is(name, lower), upper || byte == static_cast<unsigned char>(lower[at]))
            << name;
      }
    }
  }
}

TEST(HttpFields, AListOfNamesHoldsThemInAnyCase) {
  constexpr FieldNames names(std::to_array<std::string_view>({"host", "cookie", "te", "accept"}));
  for (const char* name : {"Host", "host", "COOKIE", "TE", "te", "Accept"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  for (const char* name :
       {"", "hos", "hostx", "cookies", "t", "tf", "Expect", "x-very-long-name-of-a-field-indeed"}) {
    EXPECT_FALSE(names.contains(name)) << name;
  }
}

TEST(HttpFields, ListsAreSearchedByMember) {
  EXPECT_TRUE(list_has_token("close", "close"));
  EXPECT_TRUE(list_has_token("a, \tClose\t ,b", "close"));
  EXPECT_TRUE(list_has_token("x,X-Private", "x-private"));
  EXPECT_TRUE(list_has_token("x-private", "X-Private")) << "names of fields come as sent";
  EXPECT_FALSE(list_has_token("closed, not close", "close"));
  EXPECT_FALSE(list_has_token("", "close"));
  EXPECT_FALSE(list_has_token(",,", "close"));
}

TEST(HttpFields, HopByHopFieldsAreKnown) {
  for (const char* name : {"Connection", "keep-alive", "TE", "Trailer", "transfer-encoding",
                           "Upgrade", "Proxy-Connection", "HTTP2-Settings"}) {
    EXPECT_TRUE(is_hop_by_hop(name)) << name;
  }
  for (const char* name : {"Host", "Content-Length", "Authorization", "T", ""}) {
    EXPECT_FALSE(is_hop_by_hop(name)) << name;
  }
}

TEST(HttpFields, StatusesHaveTheirPhrase) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(404), "Not Found");
  EXPECT_EQ(reason_phrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(reason_phrase(299), "Status");
}

TEST(HttpFields, AClearedHeadKeepsItsRoom) {
  RequestHead head;
  head.fields.resize(50);
  head.path = "/x";
  const std::size_t room = head.fields.capacity();
  head.clear();
  EXPECT_TRUE(head.fields.empty() && head.path.empty());
  EXPECT_EQ(head.fields.capacity(), room);
}

TEST(CanonicalPath, PlainPathsStayAsTheyAre) {
  for (const char* path :
       {"/", "/api/tags", "/api/tags/", "/v1/models/llama3:8b", "/api/blobs/sha256:0a",
        "/v1/models/a..b", "/.well-known/x", "/v1/models/...", "/a-._~!$&'()*+,;=:@"}) {
    auto result = canonical_path(path);
    ASSERT_TRUE(result.ok()) << path;
    EXPECT_EQ(*result, path);
  }
}

TEST(CanonicalPath, EscapesThatNeedNoneStayWhereAParameterStands) {
  for (const char* path :
       {"/v1/models/llama3%3A8b", "/v1/models/llama3%3a8b", "/v1/models/%6clama3",
        "/v1/models/a%20b", "/v1/models/%c3%a9", "/api/v1/backends/127.0.0.1%3A11440/drain"}) {
    EXPECT_TRUE(canonical_path(path).ok()) << path;
  }
}

TEST(CanonicalPath, OtherSpellingsOfAPathDoNotExist) {
  for (const std::string& path : {""s,
                                  "api"s,
                                  "//"s,
                                  "//api"s,
                                  "/api//tags"s,
                                  "/api/tags//"s,
                                  "/."s,
                                  "/.."s,
                                  "/./api"s,
                                  "/api/../api/create"s,
                                  "/api/.."s,
                                  "/api/."s,
                                  "/v1/models/.."s,
                                  "/%61pi/create"s,
                                  "/api/%63reate"s,
                                  "/ap%69/v1/x"s,
                                  "/api%2fcreate"s,
                                  "/api%2Fcreate"s,
                                  "/v1/models/a%2fb"s,
                                  "/v1/models/%2e%2e"s,
                                  "/v1/models/%2E"s,
                                  "/v1/models/a%5cb"s,
                                  "/v1/models/a%00"s,
                                  "/v1/models/a%0a"s,
                                  "/v1/models/a%09"s,
                                  "/v1/models/a%7f"s,
                                  "/v1/models/a%252f"s,
                                  "/v1/models/a%3fb"s,
                                  "/v1/models/a%23b"s,
                                  "/api\\create"s,
                                  "/api/\0x"s,
                                  "/api/%"s,
                                  "/api/%4"s,
                                  "/api/%zz"s,
                                  "/api/a b"s,
                                  "/api/\xc3\xa9"s,
                                  "/api/tags?x"s}) {
    auto result = canonical_path(path);
    ASSERT_FALSE(result.ok()) << path;
    EXPECT_EQ(result.error().kind, ErrorKind::kNotFound) << path;
  }
}

TEST(PercentDecode, EveryEscapeIsReadOnce) {
  EXPECT_EQ(*percent_decode(""), "");
  EXPECT_EQ(*percent_decode("llama3%3A8b"), "llama3:8b");
  EXPECT_EQ(*percent_decode("%252f"), "%2f");
  EXPECT_EQ(*percent_decode("a+b%00%fF"), "a+b\0\xff"s);
}

TEST(PercentDecode, HalfAnEscapeIsMalformed) {
  for (const char* text : {"%", "%4", "a%", "%g0", "%0g", "%%41"}) {
    auto result = percent_decode(text);
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_EQ(result.error().kind, ErrorKind::kMalformed);
  }
}

}  // namespace
}  // namespace drover::wire
