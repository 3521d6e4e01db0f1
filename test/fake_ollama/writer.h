#pragma once
// How an answer looks in each dialect: as a stream of records and as one document. The double
// writes its own JSON and does not use wire/dialect.h, so that a mistake there can not hide here.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/ask.h"
#include "base/time.h"
#include "fake_ollama/request.h"
#include "net/loop.h"

namespace drover::fake {

// What the last record says.
struct Finish {
  bool limited = false;  // ended by the token limit
  bool done = true;      // false: the generation was cut, and only a document tells
  std::uint64_t prompt_tokens = 0;
  std::uint64_t output_tokens = 0;
  Duration total{};
  Duration load{};
  Duration prompt_eval{};
  Duration eval{};
  std::string_view done_reason = {};  // "load", "unload"; empty: stop or length
};

// Everything appends to `out`, whole records with their framing.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual std::string_view stream_type() const = 0;
  virtual void begin(std::string& out) = 0;
  virtual void token(std::string& out, std::string_view text) = 0;
  virtual void tool(std::string& out, const ToolCall& call) = 0;
  virtual void end(std::string& out, const Finish& finish) = 0;
  // An error after the head was sent, as Ollama writes it: only native streams say anything.
  virtual void error(std::string& out, std::string_view text) = 0;
  virtual std::string document(std::string_view text, const ToolCall* call,
                               const Finish& finish) = 0;
};

struct WriterContext {
  net::Loop& loop;
  std::string id;  // unique, alphanumeric
  std::uint64_t prompt_tokens = 0;
};
std::unique_ptr<Writer> make_writer(const Wanted& wanted, WriterContext context);

std::unique_ptr<Writer> make_native_writer(const Wanted& wanted, WriterContext context);
std::unique_ptr<Writer> make_openai_writer(const Wanted& wanted, WriterContext context);
std::unique_ptr<Writer> make_responses_writer(const Wanted& wanted, WriterContext context);
std::unique_ptr<Writer> make_anthropic_writer(const Wanted& wanted, WriterContext context);

std::string error_body(Dialect dialect, int status, std::string_view text);

// A JSON string with its quotes.
std::string json_quoted(std::string_view text);
void append_quoted(std::string& out, std::string_view text);

inline constexpr std::string_view kJsonType = "application/json; charset=utf-8";

}  // namespace drover::fake
