#pragma once
// Test data: request bodies that two readers could read two ways, and bodies that only look so. The
// numbers are those of the table in test/gateway/README.md. What is accepted says with which bytes
// it goes on to an instance.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace drover::wire {

struct JsonTrap {
  std::string_view name;
  std::string body;
  std::string refusal;         // part of the sentence; empty: accepted
  std::string forwarded = {};  // empty: as it came
};

inline const std::string kTrapModel = R"("model":"llama3.2")";

// An object that names the model, and more.
inline std::string trap_body(const std::string& more) {
  return "{" + kTrapModel + "," + more + "}";
}

// J1 to J8: which key counts.
inline std::vector<JsonTrap> json_key_traps() {
  using std::string_literals::operator""s;
  const std::string& m = kTrapModel;
  const auto& one = trap_body;
  const std::string twice = "given twice";
  return {
      {"J1 model twice", R"({"model":"a",)" + m + "}", "\"model\" is given twice"},
      {"J1 model twice, the same", one(m), "\"model\" is given twice"},
      {"J2 model and Model", one(R"("Model":"b")"), "\"model\" is given twice"},
      {"J2 Model alone", R"({"Model":"llama3.2"})", "", "{" + m + "}"},
      {"J2 an unknown key in two cases", one(R"("seed":1,"Seed":2)"), twice},
      {"J3 long s beside stream", one("\"stream\":false,\"\xC5\xBFtream\":true"), twice},
      {"J3 long s alone", one("\"\xC5\xBFtream\":false"), "", one("\"stream\":false")},
      {"J3 long s in tools", one("\"tool\xC5\xBF\":[],\"tools\":[]"), twice},
      {"J3 Kelvin beside keep_alive", one("\"keep_alive\":1,\"\xE2\x84\xAA"s + "eep_alive\":0"),
       twice},
      {"J3 Kelvin alone", one("\"\xE2\x84\xAA"s + "eep_alive\":0"), "", one("\"keep_alive\":0")},
      {"J3 dotless i is no i", one("\"\xC4\xB1nput\":1,\"input\":2"), ""},
      {"J4 an escaped key", R"({"\u006dodel":"llama3.2"})", "", "{" + m + "}"},
      {"J4 an escaped key beside the plain one", one(R"("mod\u0065l":"b")"), twice},
      {"J4 an escaped long s", one(R"("\u017ftream":false)"), "", one("\"stream\":false")},
      {"J5 an escaped NUL in a key", one(R"("model\u0000":"b")"), ""},
      {"J5 a bare NUL in a key", one("\"model\0\":\"b\""s), "control character"},
      {"J5 a byte order mark in a key", one("\"\xEF\xBB\xBFmodel\":\"b\""), ""},
      {"J5 a byte order mark before the body", "\xEF\xBB\xBF{" + m + "}", "(byte 0)"},
      {"J6 two documents", "{" + m + R"(}{"model":"b"})", "something follows"},
      {"J6 two documents on two lines", "{" + m + "}\n{}", "something follows"},
      {"J7 a letter behind the document", "{" + m + "} x", "something follows"},
      {"J7 a NUL behind the document", "{" + m + "}\0"s, "something follows"},
      {"J7 white space behind the document", " {" + m + "}\r\n\t ", ""},
      {"J8 model is a number", R"({"model":1})", "must be a string"},
      {"J8 model is an array", R"({"model":["llama3.2"]})", "must be a string"},
      {"J8 model is an object", R"({"model":{"model":"llama3.2"}})", "must be a string"},
      {"J8 model is null and name speaks", R"({"model":null,"name":"llama3.2"})", ""},
      {"J8 stream is a string", one(R"("stream":"false")"), "true or false"},
      {"J8 model below the top", one(R"("x":{"model":"b"},"messages":[{"model":"c"}])"), ""},
  };
}

// J9 to J24: what a value may be.
inline std::vector<JsonTrap> json_value_traps() {
  using std::string_literals::operator""s;
  const auto& one = trap_body;
  const std::string twice = "given twice";
  const std::string deep(10'000, '[');
  return {
      {"J9 10,000 levels", one("\"x\":" + deep), "nested too deeply"},
      {"J9 128 levels", one("\"x\":" + deep.substr(0, 127) + std::string(127, ']')), ""},
      {"J9 129 levels", one("\"x\":" + deep.substr(0, 128) + std::string(128, ']')),
       "nested too deeply"},
      {"J10 1e400", one(R"("x":1e400)"), "too large"},
      {"J10 20 digits", one(R"("x":12345678901234567890)"), ""},
      {"J10 minus zero", one(R"("options":{"num_ctx":-0})"), ""},
      {"J10 a context with an exponent", one(R"("options":{"num_ctx":8.192e3})"), ""},
      {"J10 a leading zero", one(R"("x":01)"), "leading zero"},
      {"J10 not a number", one(R"("x":NaN)"), "a value must come here"},
      {"J11 half a pair in a prompt", one(R"("prompt":"\ud800")"), ""},
      {"J11 half a pair in the model", R"({"model":"llama3.2\ud800"})", "half a surrogate pair"},
      {"J11 half a pair in a key", one(R"("\udc00":1)"), "half a surrogate pair"},
      {"J12 a bare byte FF", one("\"prompt\":\"\xFF\""), "invalid UTF-8"},
      {"J12 an overlong slash", one("\"prompt\":\"\xC0\xAF\""), "invalid UTF-8"},
      {"J12 an encoded surrogate", one("\"prompt\":\"\xED\xA0\x80\""), "invalid UTF-8"},
      {"J12 invalid UTF-8 in a key", one("\"model\xFF\":\"b\""), "invalid UTF-8"},
      {"J13 UTF-16, little end first", "{\0\"\0m\0"s, "(byte 1)"},
      {"J13 UTF-16 with its mark", "\xFE\xFF\0{\0\""s, "(byte 0)"},
      {"J13 UTF-32", "\0\0\0{"s, "(byte 0)"},
      {"J14 a form", "model=llama3.2&prompt=x", "a value must come here"},
      {"J22 a picture by its address", one(R"("images":["http://169.254.169.254/x"])"), ""},
      {"J23 a key twice in options", one(R"("options":{"num_ctx":1,"num_ctx":2})"), twice},
      {"J23 escaped, twice in options", one(R"("options":{"num_ctx":1,"num\u005fctx":2})"), twice},
      {"J23 in two cases in options", one(R"("options":{"num_ctx":1,"NUM_CTX":2})"), twice},
      {"J23 another case alone in options", one(R"("options":{"NUM_CTX":2})"), ""},
      {"J23 escaped in options", one(R"("options":{"num\u005fctx":2})"), "",
       one(R"("options":{"num_ctx":2})")},
      {"J23 twice in options behind a bare value", one(R"("x":1,"options":{"a":1,"a":2})"), twice},
      {"J23 one name in two objects", one(R"("options":{"seed":1},"seed":1)"), ""},
      {"usage in two cases",
       one(R"("stream_options":{"include_usage":true,"Include_Usage":false})"), twice},
      {"usage in another case", one(R"("stream_options":{"Include_Usage":true})"), "",
       one(R"("stream_options":{"include_usage":true})")},
  };
}

// All of them name the model llama3.2, wherever they name one that counts.
inline std::vector<JsonTrap> json_traps() {
  std::vector<JsonTrap> all = json_key_traps();
  std::vector<JsonTrap> values = json_value_traps();
  for (JsonTrap& trap : values) all.push_back(std::move(trap));
  return all;
}

}  // namespace drover::wire
