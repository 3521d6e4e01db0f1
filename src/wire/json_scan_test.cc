#include "wire/json_scan.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "wire/plain_request.h"

namespace drover::wire {
namespace {

constexpr std::uint64_t kSalt = 7;

std::string show(const Result<RequestFacts>& result);

// Also by the short way: what that accepts, it has to read alike.
Result<RequestFacts> inspect(std::string_view body, std::size_t step = std::string_view::npos) {
  RequestInspector inspector({}, kSalt);
  if (step == std::string_view::npos && inspector.take_whole(body)) {
    const auto plain = inspector.finish();
    EXPECT_EQ(show(plain), show(inspect(body, 64))) << body;
  }
  while (!body.empty()) {
    const std::string_view piece = body.substr(0, step);
    body.remove_prefix(piece.size());
    if (auto fed = inspector.feed(piece); !fed) return fed.error();
  }
  return inspector.finish();
}

std::string show(const Result<RequestFacts>& result) {
  if (!result) return result.error().message;
  const RequestFacts& f = *result;
  std::string out = "model=" + f.model.value_or("(none)");
  out += " stream=" + (f.stream ? std::to_string(static_cast<int>(*f.stream)) : "(none)");
  out += " usage=" + std::to_string(static_cast<int>(f.include_usage));
  out += " tools=" + std::to_string(static_cast<int>(f.has_tools));
  out += " empty=" + std::to_string(static_cast<int>(f.empty_prompt));
  for (const Beginnings::End& end : f.beginnings.all()) {
    out += " end=" + std::to_string(end.hash) + "@" + std::to_string(end.bytes);
  }
  if (f.num_ctx) out += " num_ctx=" + std::to_string(*f.num_ctx);
  if (f.places.num_ctx.length > 0) out += "@" + std::to_string(f.places.num_ctx.offset);
  for (const OptionPlaces::Place& place : f.places.others) {
    out += " option@" + std::to_string(place.offset) + "+" + std::to_string(place.length);
  }
  if (f.places.options > OptionPlaces::Options::kMissing) {
    out += " options@" + std::to_string(f.places.at.offset);
  }
  for (const Edit& edit : f.edits) {
    out += " " + std::to_string(edit.offset) + "+" + std::to_string(edit.length) + ":" + edit.text;
  }
  return out;
}

std::string apply(std::string body, const std::vector<Edit>& edits) {
  for (auto edit = edits.rbegin(); edit != edits.rend(); ++edit) {
    body.replace(edit->offset, edit->length, edit->text);
  }
  return body;
}

void expect_refused(std::string_view body, std::string_view part_of_message) {
  const auto result = inspect(body);
  ASSERT_FALSE(result) << body;
  EXPECT_EQ(result.error().kind, ErrorKind::kMalformed);
  EXPECT_EQ(result.error().origin, Origin::kClient);
  EXPECT_EQ(result.error().retry, Retry::kNever);
  EXPECT_NE(result.error().message.find(part_of_message), std::string::npos)
      << body << "\n"
      << result.error().message;
}

std::string nested(std::size_t depth) {
  return R"({"model":"m","x":)" + std::string(depth, '[') + std::string(depth, ']') + "}";
}

TEST(RequestInspector, OrdinaryRequestsGoTheShortWay) {
  for (
      const char* body :
      {R"({"model":"llama3","messages":[{"role":"user","content":"a \"b\"\n\u00e9 \ud83d\ude00 ü"}]})",
       R"({"model":"m","prompt":"hi","stream":false,"options":{"num_ctx":8192,"temperature":0.5}})",
       R"({"stream":true,"stream_options":{"include_usage":true},"messages":[],"model":"m"})",
       R"( {"model" : "m" , "tools" : [ {"type":"function"} ] , "format" : "json", "x" : null } )",
       R"({"model":"m","tools":[],"format":"","prompt":"","messages":[]})", R"({"name":"m"})",
       R"({"model":"","name":"m"})", R"({"model":null,"input":["a"]})"}) {
    EXPECT_TRUE(read_plain_request(body, {})) << body;
    (void)inspect(body);
  }
}

TEST(RequestInspector, WhateverIsRareOrWrongGoesTheLongWay) {
  for (const char* body : {"",
                           "[]",
                           "3",
                           R"({"model":"m"}x)",
                           R"({"model":"m")",
                           R"({"Model":"m"})",
                           R"({"mod\u0065l":"m"})",
                           R"({"model":"m","model":"m"})",
                           R"({"x":1,"x":2})",
                           R"({"model":"a\nb"})",
                           R"({"model":3})",
                           R"({"stream":1})",
                           R"({"options":{"a":1,"a":2}})",
                           R"({"options":{"A":1}})",
                           R"({"x":1e3})",
                           R"({"x":1234567890123456})",
                           R"({"x":01})",
                           R"({"x":-})",
                           R"({"x":1.})",
                           R"({"x":"\x"})",
                           R"({"x":"\u12g4"})",
                           R"({"x":tru})",
                           R"({"x":})",
                           R"({"x":{"y":}})",
                           R"({"x":[1,]})",
                           R"({"x"})",
                           R"({"x":1]})",
                           R"({"x":[1}})",
                           R"({"x":[1,]})",
                           R"({"x":[1 2]})",
                           R"({,"x":1})",
                           R"({"x":1,})",
                           R"({"x":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]})",
                           "{\"x\":\"\xff\"}",
                           "{\"x\":\"\xed\xa0\x80\"}",
                           "{\"x\":\"\x01\"}",
                           "{\"x\":\"\xc3\"}",
                           "{\"\xc3\xbc\":1}"}) {
    EXPECT_FALSE(read_plain_request(body, {})) << body;
  }
  EXPECT_FALSE(read_plain_request(R"({"model":")" + std::string(513, 'm') + R"("})", {}));
  std::string many = "{";
  for (int i = 0; i < 30; ++i) many += "\"k" + std::to_string(i) + "\":1,";
  EXPECT_FALSE(read_plain_request(many + "\"model\":\"m\"}", {}));
}

// Any one byte of an ordinary request changed to any other, and the request cut anywhere.
TEST(RequestInspector, TheShortWayAcceptsNothingThatTheLongWayReadsOtherwise) {
  const std::string body =
      R"({"model":"m","stream":true,"options":{"num_ctx":512},"stream_options":{"include_usage":true},)"
      R"("prompt":"a \"b\" \u00e9 ü","tools":[{"a":[1.5,-2,null]}],"messages":[],"format":{}})";
  ASSERT_TRUE(read_plain_request(body, {}));
  const auto agree = [](const std::string& text) {
    const auto plain = read_plain_request(text, {});
    if (plain) {
      ASSERT_EQ(show(*plain), show(inspect(text, 1000))) << text;
    }
  };
  for (std::size_t at = 0; at < body.size(); ++at) {
    std::string changed = body;
    for (int byte = 0; byte < 256; ++byte) {
      changed[at] = static_cast<char>(byte);
      agree(changed);
    }
    agree(body.substr(0, at));
    for (std::size_t cut = 1; cut < 5 && at + cut <= body.size(); ++cut) {
      agree(body.substr(0, at) + body.substr(at + cut));
    }
    for (const char c : std::string("{}[],:\"\\ 1-.")) {
      agree(body.substr(0, at) + c + body.substr(at));
    }
  }
}

TEST(RequestInspector, ReadsAnOrdinaryChat) {
  const auto facts = inspect(R"({"model":"llama3","messages":[{"role":"user","content":"hi"}],)"
                             R"("stream":false,"stream_options":{"include_usage":true}})");
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->model, "llama3");
  EXPECT_EQ(facts->stream, false);
  EXPECT_TRUE(facts->include_usage);
  EXPECT_FALSE(facts->has_tools);
  EXPECT_FALSE(facts->empty_prompt);
  EXPECT_TRUE(facts->edits.empty());
}

TEST(RequestInspector, TakesTheOldNameWhenThereIsNoModel) {
  EXPECT_EQ(inspect(R"({"name":"a"})")->model, "a");
  EXPECT_EQ(inspect(R"({"name":"a","model":"b"})")->model, "b");
  EXPECT_EQ(inspect(R"({"name":"a","model":null})")->model, "a");
  EXPECT_EQ(inspect(R"({"name":"a","model":""})")->model, "a");
  EXPECT_EQ(inspect(R"({"model":""})")->model, "");
  EXPECT_EQ(inspect(R"({"model":null})")->model, std::nullopt);
  EXPECT_EQ(inspect("{}")->model, std::nullopt);
}

TEST(RequestInspector, UnescapesTheModel) {
  EXPECT_EQ(inspect(R"({"model":"\u006c\/\ud83d\ude00"})")->model, "l/\xF0\x9F\x98\x80");
}

TEST(RequestInspector, CountsNullAsAbsent) {
  EXPECT_EQ(inspect(R"({"stream":null})")->stream, std::nullopt);
  EXPECT_FALSE(inspect(R"({"stream_options":null})")->include_usage);
  EXPECT_EQ(inspect(R"({"options":{"seed":7,"num_ctx":8192}})")->num_ctx, 8192U);
  EXPECT_EQ(inspect(R"({"options":{"num\u005fctx":4096,"stop":["8"]}})")->num_ctx, 4096U);
  for (const char* none : {R"({"options":{"NUM_CTX":8192}})", R"({"options":{"num_ctx":"8192"}})",
                           R"({"options":{"num_ctx":null}})", R"({"options":{"x":{"num_ctx":7}}})",
                           R"({"num_ctx":8192})"}) {
    EXPECT_FALSE(inspect(none)->num_ctx) << none;
  }
  EXPECT_FALSE(inspect(R"({"stream_options":{"include_usage":null}})")->include_usage);
}

TEST(RequestInspector, FindsHowLongAModelShallStay) {
  const std::pair<const char*, std::string_view> rows[] = {
      {R"({"keep_alive":"5m","model":"m"})", R"("5m")"},
      {R"({"model":"m", "keep_alive" : 300 })", "300"},
      {R"({"keep\u005falive":"5\u006d"})", R"("5\u006d")"}};
  for (const auto& [body, value] : rows) {
    const RequestFacts facts = *inspect(body);
    EXPECT_EQ(facts.kept_alive, std::chrono::minutes(5)) << body;
    EXPECT_EQ(std::string_view(body).substr(facts.keep_alive.offset, facts.keep_alive.length),
              value);
  }
  for (const char* none :
       {R"({"keep_alive":null})", R"({"keep_alive":"soon"})", R"({"keep_alive":[5]})",
        R"({"x":{"keep_alive":5}})", R"({"keep_alive":true})"}) {
    EXPECT_FALSE(inspect(none)->kept_alive) << none;
    EXPECT_EQ(inspect(none)->keep_alive.length, 0U) << none;
  }
}

TEST(RequestInspector, KnowsALoadRequest) {
  for (const char* body :
       {R"({"model":"m"})", R"({"prompt":""})", R"({"prompt":null})", R"({"messages":[]})",
        R"({"messages":null})", R"({"messages":[ ]})", R"({"keep_alive":0,"input":"x"})"}) {
    EXPECT_TRUE(inspect(body)->empty_prompt) << body;
  }
  for (const char* body : {R"({"prompt":"x"})", R"({"prompt":"\u0000"})", R"({"messages":[{}]})",
                           R"({"messages":[1]})", R"({"messages":[null]})", R"({"prompt":["x"]})",
                           R"({"prompt":1})", R"({"messages":{}})"}) {
    EXPECT_FALSE(inspect(body)->empty_prompt) << body;
  }
}

TEST(RequestInspector, ABareValueHidesNothingOfWhatFollowsIt) {
  for (const char* value : {"1", "null", "true", "\"a\"", "[1]", "{\"a\":[]}"}) {
    const std::string before = "{\"x\":" + std::string(value);
    EXPECT_EQ(inspect(before + R"(,"options":{"num_ctx":8192}})")->num_ctx, 8192U) << value;
    EXPECT_FALSE(inspect(before + R"(,"messages":[{}]})")->empty_prompt) << value;
    EXPECT_TRUE(inspect(before + R"(,"tools":[{}]})")->has_tools) << value;
    EXPECT_TRUE(inspect(before + R"(,"stream_options":{"include_usage":true}})")->include_usage);
    expect_refused(before + R"(,"options":{"a":1,"a":2}})", "given twice");
  }
}

TEST(RequestInspector, KnowsToolsAndFormats) {
  for (const char* body : {R"({"tools":[{"type":"function"}]})", R"({"format":"json"})",
                           R"({"format":{"type":"object"}})", R"({"tools":["x"]})"}) {
    EXPECT_TRUE(inspect(body)->has_tools) << body;
  }
  for (const char* body : {R"({"tools":[]})", R"({"tools":null})", R"({"format":null})",
                           R"({"format":""})", R"({"x":{"tools":[1]}})"}) {
    EXPECT_FALSE(inspect(body)->has_tools) << body;
  }
}

TEST(RequestInspector, LooksOnlyAtTheTop) {
  const auto facts =
      inspect(R"({"x":{"model":"a","stream":true},"y":[{"model":"b"}],"model":"c"})");
  EXPECT_EQ(show(facts), "model=c stream=(none) usage=0 tools=0 empty=1");
}

// J1 to J7, J23: each of these is read one way by us and another way by somebody else.
TEST(RequestInspector, RefusesWhatTwoReadersCouldReadTwoWays) {
  expect_refused(R"({"model":"a","model":"b"})", "\"model\" is given twice (byte 14)");
  expect_refused(R"({"model":"a","Model":"b"})", "\"model\" is given twice");
  expect_refused(R"({"MODEL":"a","x":1,"model":"b"})", "\"model\" is given twice");
  expect_refused("{\"stream\":true,\"\xC5\xBFtream\":false}", "\"stream\" is given twice");
  expect_refused("{\"tools\":[],\"tool\xC5\xBF\":[]}", "\"tools\" is given twice");
  expect_refused(
      "{\"keep_alive\":1,\"\xE2\x84\xAA"
      "eep_alive\":0}",
      "\"keep_alive\" is given twice");
  expect_refused(R"({"\u006dodel":"a","model":"b"})", "\"model\" is given twice");
  expect_refused(R"({"\u017ftream":true,"stream":true})", "\"stream\" is given twice");
  expect_refused(R"({"model":"a","model\u0000":"b","model":"c"})", "\"model\" is given twice");
  expect_refused(R"({"x":1,"x":2})", "a key is given twice in one JSON object (byte 8)");
  expect_refused(R"({"x":1,"X":2})", "a key is given twice");
  expect_refused(R"({"model":"a"}{"model":"b"})", "something follows the document (byte 13)");
  expect_refused(R"({"model":"a"} x)", "something follows the document");
  expect_refused(R"({"options":{"num_ctx":1,"num_ctx":2}})", "given twice");
  expect_refused(R"({"options":{"num_ctx":1,"Num_Ctx":2}})", "given twice");
  expect_refused(R"({"stream_options":{"include_usage":true,"INCLUDE_USAGE":false}})",
                 "given twice");
}

TEST(RequestInspector, AllowsOneNameInDifferentObjects) {
  EXPECT_TRUE(inspect(R"({"a":{"x":1,"x":2},"messages":[{"role":"a"},{"role":"b"}]})"));
  EXPECT_TRUE(inspect(R"({"options":{"seed":1},"stream_options":{"seed":1},"seed":1})"));
}

TEST(RequestInspector, SpellsALoneVariantCanonically) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {R"({"Model":"a"})", R"({"model":"a"})"},
      {R"({"\u006dodel":"a"})", R"({"model":"a"})"},
      {"{\"\xC5\xBFtream\":true}", R"({"stream":true})"},
      {"{ \"\xE2\x84\xAA"
       "EEP_ALIVE\" : 0 }",
       R"({ "keep_alive" : 0 })"},
      {R"({"x":1,"STREAM":true,"Model":"b","tools":[]})",
       R"({"x":1,"stream":true,"model":"b","tools":[]})"},
      {R"({"stream_options":{"Include\u005fUsage":true}})",
       R"({"stream_options":{"include_usage":true}})"},
      {R"({"options":{"num\u005fctx":1,"Seed":2}})", R"({"options":{"num_ctx":1,"Seed":2}})"},
      {R"({"options":{"NUM_CTX":1}})", R"({"options":{"NUM_CTX":1}})"},
      {R"({"model":"a","Temperature":1})", R"({"model":"a","Temperature":1})"},
      {R"({"_Debug_render_only":true})", R"({"_debug_render_only":true})"}};
  for (const auto& [body, canonical] : table) {
    const auto facts = inspect(body);
    ASSERT_TRUE(facts) << body;
    EXPECT_EQ(apply(body, facts->edits), canonical);
    EXPECT_TRUE(inspect(canonical)->edits.empty());
  }
  EXPECT_EQ(inspect(R"({"Model":"a","STREAM":true})")->model, "a");
  EXPECT_EQ(inspect(R"({"Model":"a","STREAM":true})")->stream, true);
}

TEST(RequestInspector, DoesNotFoldOtherLettersThatLookAlike) {
  // U+0130 and U+0131 are the Turkish i's; Go's decoder does not fold them into ASCII either.
  const auto facts = inspect("{\"\xC4\xB0nput\":1,\"\xC4\xB1nput\":2,\"input\":3}");
  ASSERT_TRUE(facts);
  EXPECT_TRUE(facts->edits.empty());
  EXPECT_EQ(inspect(R"({"model ":"a","\u0000model":"b","\ufeffmodel":"c"})")->model, std::nullopt);
}

TEST(RequestInspector, RefusesTheWrongTypes) {
  for (const char* value : {"1", "[]", "{}", "true", "[\"a\"]", "{\"a\":1}"}) {
    expect_refused(R"({"model":)" + std::string(value) + "}",
                   "\"model\" must be a string (byte 9)");
    expect_refused(R"({"name":)" + std::string(value) + "}", "\"name\" must be a string (byte 8)");
  }
  for (const char* value : {"1", "\"true\"", "[]", "{}"}) {
    expect_refused(R"({"stream":)" + std::string(value) + "}", "\"stream\" must be true or false");
  }
  for (const char* body :
       {"[]", "[{\"model\":\"a\"}]", "1", "1 ", "\"model\"", "null", "true", "0 "}) {
    expect_refused(body, "must be a JSON object");
  }
}

TEST(RequestInspector, RefusesDeepNestingBadTextAndBadNumbers) {
  EXPECT_TRUE(inspect(nested(127)));
  expect_refused(nested(128), "nested too deeply");
  expect_refused(nested(10'000), "nested too deeply");
  expect_refused(R"({"x":1e400})", "a number that is too large");
  expect_refused(R"({"x":01})", "leading zero");
  EXPECT_TRUE(inspect(R"({"x":-0,"y":12345678901234567890,"z":1e-999})"));
  expect_refused("{\"x\":\"\xC3\"}", "invalid UTF-8 (byte 7)");
  expect_refused("{\"\xFF\":1}", "invalid UTF-8");
  expect_refused("\xEF\xBB\xBF{}", "(byte 0)");
  expect_refused(std::string("\xFF\xFE{\0}\0", 6), "(byte 0)");
  expect_refused(std::string("{\0\"\0", 4), "(byte 1)");
  expect_refused("{\"x\":\"a\nb\"}", "a control character in a string");
  expect_refused("", "missing request body");
  expect_refused("{", "ends before its JSON does (byte 1)");
  expect_refused(R"({"model":"a")", "ends before its JSON does");
}

// As Go reads them: a truncated emoji in a prompt is no reason to refuse what Ollama serves.
TEST(RequestInspector, TakesHalfASurrogatePairInAValueButNotInAName) {
  for (const char* half : {R"(\ud800)", R"(\udc00)", R"(\ud83d cut)", R"(\ud83d\n)",
                           R"(\ud83d\ud83d\ude00)", R"(\udc00\ud800)", R"(\ud800\u0041)"}) {
    const std::string text(half);
    const auto facts =
        inspect(R"({"model":"m","prompt":")" + text + R"(","x":[{"y":")" + text + R"("}]})");
    ASSERT_TRUE(facts.ok()) << half;
    EXPECT_EQ(facts->model, "m");
    EXPECT_FALSE(facts->empty_prompt);
    expect_refused(R"({"model":")" + text + "\"}", "\"model\" holds half a surrogate pair");
    expect_refused(R"({"name":")" + text + "\"}", "\"name\" holds half a surrogate pair");
    expect_refused("{\"" + text + "\":1}", "half a surrogate pair in a key");
    expect_refused("{\"options\":{\"" + text + "\":1}}", "half a surrogate pair in a key");
  }
  expect_refused(R"({"x":"\ud83d\x"})", "an unknown escape");
  expect_refused(R"({"x":"\ud83d)", "ends before its JSON does");
  EXPECT_EQ(inspect(R"({"model":"\ud83d\ude00"})")->model, "\xF0\x9F\x98\x80");
}

TEST(RequestInspector, TakesAModelOfAnyShapeUpToItsLimit) {
  // Whether such a name exists is the catalogue's question (J17).
  for (const char* model : {"evil.example/ns/m", "../../etc/passwd", "m@sha256:00", "m:cloud",
                            "%2e%2e", "\\u0000\\u001b[31m"}) {
    EXPECT_TRUE(inspect(R"({"model":")" + std::string(model) + "\"}")) << model;
  }
  EXPECT_TRUE(inspect(R"({"model":")" + std::string(512, 'a') + "\"}"));
  expect_refused(R"({"model":")" + std::string(513, 'a') + "\"}", "longer than 512 bytes");
  expect_refused(R"({"name":")" + std::string(5'000'000, 'a') + "\"}", "longer than 512 bytes");
}

TEST(RequestInspector, BoundsTheKeysItRemembers) {
  const auto body = [](int keys) {
    std::string out = "{";
    for (int i = 0; i < keys; ++i) out += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":1";
    return out + "}";
  };
  EXPECT_TRUE(inspect(body(256)));
  expect_refused(body(257), "more than 256 keys");
}

TEST(RequestInspector, LongKeysNeverMatchAndAreStillToldApart) {
  EXPECT_TRUE(inspect("{\"" + std::string(100'000, 'm') + "\":1,\"model\":\"a\"}"));
  expect_refused("{\"" + std::string(5'000, 'm') + "\":1,\"" + std::string(5'000, 'm') + "\":2}",
                 "given twice");
}

TEST(RequestInspector, NeverRepeatsTheBody) {
  for (const char* body :
       {R"({"secret-prompt":1,"secret-prompt":2})", R"({"x":"secret-prompt\q"})",
        R"({"model":["secret-prompt"]})", R"({"options":{"secret-prompt":1,"secret-prompt":1}})"}) {
    EXPECT_EQ(show(inspect(body)).find("secret"), std::string::npos) << body;
  }
}

TEST(RequestInspector, KeepsAnErrorUntilTheEnd) {
  RequestInspector inspector;
  ASSERT_FALSE(inspector.feed("]"));
  EXPECT_FALSE(inspector.feed("{}"));
  EXPECT_FALSE(inspector.finish());
}

const std::vector<std::string> kRecorded = {
    R"({"model":"llama3.2","prompt":"Why is the sky blue?","stream":true,)"
    R"("options":{"num_ctx":4096,)"
    R"("temperature":0.7,"stop":["\n","user:"]},"keep_alive":"5m"})",
    R"({"Model":"gpt-oss:20b","messages":[{"role":"user","content":[{"type":"text",)"
    R"("text":"Grüße 😀 )"
    R"(\ud83d\ude00 \"q\""},{"type":"image_url","image_url":{"url":"data:image/png;base64,)"
    R"(iVBORw0KGgo="}}]}],)"
    R"("stream":true,"stream_options":{"Include_Usage":true},"max_tokens":128,"temperature":1e-1})",
    R"({"max_tokens":1024,"messages":[{"role":"user","content":"Hello"}],"tools":[{"name":"get",)"
    R"("input_schema":)"
    R"({"type":"object","properties":{"model":{"type":"string"},"stream":{"type":"number"}}}}],)"
    R"("mod\u0065l":"m"})",
    R"(  { "name" : "nomic-embed-text" , "model" : null , "input" : [ "a" , "b" ] ,)"
    R"( "truncate" : false } )",
    R"({"model":"a","stream":true,"Stream":false})",
    R"({"model":"a","x":[1,2,{"y":"\ud800\u0041"}]})",
    "{\"model\":\"\xE2\x84\xAA\",\"x\":\"\xF0\x9F\x98\"}",
    R"({"model":"a"} trailing)"};

TEST(RequestInspector, FindsTheSameHoweverTheBodyIsCut) {
  for (const std::string& body : kRecorded) {
    const std::string whole = show(inspect(body));
    for (std::size_t at = 0; at <= body.size(); ++at) {
      RequestInspector inspector({}, kSalt);
      auto fed = inspector.feed(std::string_view(body).substr(0, at));
      if (fed) fed = inspector.feed(std::string_view(body).substr(at));
      EXPECT_EQ(show(inspector.finish()), whole) << body << " cut at " << at;
    }
    EXPECT_EQ(show(inspect(body, 1)), whole) << body;
  }
}

TEST(RequestInspector, FindsTheSameInRandomPieces) {
  const std::uint64_t seed = 20250504;
  Rng rng(seed);
  for (int round = 0; round < 500; ++round) {
    const std::string& body = kRecorded[rng.below(kRecorded.size())];
    RequestInspector inspector({}, kSalt);
    for (std::string_view rest = body; !rest.empty();) {
      const std::string_view piece = rest.substr(0, rng.below(9));
      (void)inspector.feed(piece);
      rest.remove_prefix(piece.size());
    }
    EXPECT_EQ(show(inspector.finish()), show(inspect(body))) << "seed " << seed << ' ' << body;
  }
}

TEST(RequestInspector, ReadsAModelBehindManyMegabytes) {
  RequestInspector inspector;
  ASSERT_TRUE(inspector.feed(R"({"images":[")"));
  const std::string piece(1 << 20, 'A');
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(inspector.feed(piece));
  ASSERT_TRUE(inspector.feed(R"("],"model":"m"})"));
  const auto facts = inspector.finish();
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->model, "m");
}

// --- beginnings ---

std::vector<std::uint64_t> ends(std::string_view body, std::size_t step = std::string_view::npos) {
  const auto facts = inspect(body, step);
  std::vector<std::uint64_t> hashes;
  if (!facts) return hashes;
  for (const Beginnings::End& end : facts->beginnings.all()) hashes.push_back(end.hash);
  return hashes;
}

constexpr std::string_view kTurn =
    R"({"model":"m","messages":[{"role":"user","content":"Why is the sky blue?"}]})";
constexpr std::string_view kNextTurn =
    R"({"messages": [{"role":"user","content":"Why is the sky blue?"}, )"
    R"({"role":"assistant","content":"It is [not] {blue}\n"},{"role":"user","content":"Oh?"}],)"
    R"("model":"m","stream":true})";

TEST(RequestInspector, TheNextTurnBeginsWithTheHashOfTheOneBefore) {
  const auto first = ends(kTurn);
  const auto next = ends(kNextTurn);
  ASSERT_EQ(first.size(), 1U);
  ASSERT_EQ(next.size(), 3U);
  EXPECT_EQ(first[0], next[0]);
  EXPECT_NE(next[0], next[1]);
  EXPECT_NE(next[1], next[2]);
}

TEST(RequestInspector, BeginningsAreTheSameInPiecesOfAnySize) {
  const auto whole = ends(kNextTurn);
  for (std::size_t step = 1; step < kNextTurn.size(); ++step) {
    EXPECT_EQ(ends(kNextTurn, step), whole) << step;
  }
}

TEST(RequestInspector, AnotherWordIsAnotherBeginningAndSoIsAllBehindIt) {
  std::string other(kNextTurn);
  other.replace(other.find("blue"), 4, "grey");
  const auto before = ends(kNextTurn);
  const auto after = ends(other);
  ASSERT_EQ(after.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NE(before[i], after[i]);
}

TEST(RequestInspector, OnlyObjectsOfAnArrayOfMessagesAreNamed) {
  EXPECT_EQ(ends(R"({"messages":{"a":{"b":1}},"model":"m"})").size(), 0U);
  EXPECT_EQ(ends(R"({"messages":["a",1,[{}],{}],"model":"m"})").size(), 1U);
  EXPECT_EQ(ends(R"({"tools":[{"a":1}],"messages":[],"model":"m"})").size(), 0U);
}

TEST(RequestInspector, WithoutASaltNothingIsNamedAndAnotherSaltNamesOtherwise) {
  const auto salted = [](std::optional<std::uint64_t> salt) {
    RequestInspector inspector({}, salt);
    EXPECT_TRUE(inspector.take_whole(kNextTurn));
    return inspector.finish()->beginnings;
  };
  EXPECT_TRUE(salted(std::nullopt).empty());
  EXPECT_NE(salted(1).all().front().hash, salted(2).all().front().hash);
}

TEST(RequestInspector, OfALongMessageTheLengthCountsBesideItsFirstBytes) {
  const auto with = [](std::size_t bytes) {
    return ends(R"({"model":"m","messages":[{"content":")" + std::string(bytes, 'A') + R"("}]})");
  };
  EXPECT_EQ(with(200'000), with(200'000));
  EXPECT_NE(with(200'000), with(200'001));
}

}  // namespace
}  // namespace drover::wire
