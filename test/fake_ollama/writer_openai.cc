// /v1/chat/completions and /v1/completions: server-sent events that end with [DONE].

#include <fmt/format.h>

#include "fake_ollama/writer.h"

namespace drover::fake {
namespace {

class OpenAiWriter final : public Writer {
 public:
  OpenAiWriter(const Wanted& wanted, WriterContext context)
      : id_(std::move(context.id)),
        chat_(wanted.route == Route::kV1Chat),
        usage_wanted_(wanted.include_usage),
        created_(context.loop.wall_now().unix_nanos / 1'000'000'000),
        model_(json_quoted(wanted.model)) {
    open_ = "data: " + header(chat_ ? "chat.completion.chunk" : "text_completion", model_) +
            R"(,"choices":[{"index":0,)";
  }

  std::string_view stream_type() const override { return "text/event-stream"; }
  void begin(std::string&) override {}

  void token(std::string& out, std::string_view text) override {
    out += open_;
    out += chat_ ? R"("delta":{"role":"assistant","content":)" : R"("text":)";
    append_quoted(out, text);
    out += chat_ ? "},\"finish_reason\":null}]}\n\n" : ",\"finish_reason\":null}]}\n\n";
  }

  void tool(std::string& out, const ToolCall& call) override {
    called_ = true;
    out += open_;
    out += fmt::format(R"("delta":{{"role":"assistant","content":"","tool_calls":[{}]}},)",
                       call_json(call));
    out += "\"finish_reason\":null}]}\n\n";
  }

  void end(std::string& out, const Finish& finish) override {
    out += open_;
    out += chat_ ? R"("delta":{"role":"assistant","content":""},)" : R"("text":"",)";
    out += fmt::format("\"finish_reason\":\"{}\"}}]}}\n\n", reason(finish));
    if (usage_wanted_) {
      out += fmt::format("data: {},\"choices\":[],\"usage\":{}}}\n\n",
                         header(chat_ ? "chat.completion.chunk" : "text_completion", model_),
                         usage(finish));
    }
    out += "data: [DONE]\n\n";
  }

  // Ollama pushes the error object through the converter of chunks: everything in it is empty.
  void error(std::string& out, std::string_view) override {
    out += "data: " + header(chat_ ? "chat.completion.chunk" : "text_completion", "\"\"") +
           R"(,"choices":[{"index":0,)";
    out += chat_ ? R"("delta":{"role":"assistant","content":""},)" : R"("text":"",)";
    out += "\"finish_reason\":null}]}\n\n";
  }

  std::string document(std::string_view text, const ToolCall* call, const Finish& finish) override {
    called_ = call != nullptr;
    std::string choice;
    if (!chat_) {
      choice = fmt::format(R"("text":{})", json_quoted(text));
    } else if (call != nullptr) {
      choice = fmt::format(R"("message":{{"role":"assistant","content":"","tool_calls":[{}]}})",
                           call_json(*call));
    } else {
      choice = fmt::format(R"("message":{{"role":"assistant","content":{}}})", json_quoted(text));
    }
    const std::string why =
        finish.done ? fmt::format("\"{}\"", reason(finish)) : std::string("null");
    return fmt::format(R"({},"choices":[{{"index":0,{},"finish_reason":{}}}],"usage":{}}})",
                       header(chat_ ? "chat.completion" : "text_completion", model_), choice, why,
                       usage(finish));
  }

 private:
  std::string header(std::string_view object, std::string_view model) const {
    return fmt::format(
        R"({{"id":"{}-{}","object":"{}","created":{},"model":{},"system_fingerprint":"fp_ollama")",
        chat_ ? "chatcmpl" : "cmpl", id_, object, created_, model);
  }

  std::string call_json(const ToolCall& call) const {
    return fmt::format(
        R"({{"id":"call_{}","index":0,"type":"function","function":{{"name":{},"arguments":{}}}}})",
        id_, json_quoted(call.name), json_quoted(call.arguments));
  }

  std::string_view reason(const Finish& finish) const {
    if (called_) return "tool_calls";
    return finish.limited ? "length" : "stop";
  }

  static std::string usage(const Finish& f) {
    return fmt::format(R"({{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{}}})",
                       f.prompt_tokens, f.output_tokens, f.prompt_tokens + f.output_tokens);
  }

  std::string id_;
  bool chat_;
  bool usage_wanted_;
  bool called_ = false;
  std::int64_t created_;
  std::string model_;
  std::string open_;  // of every chunk, up to its choice
};

}  // namespace

std::unique_ptr<Writer> make_openai_writer(const Wanted& wanted, WriterContext context) {
  return std::make_unique<OpenAiWriter>(wanted, std::move(context));
}

}  // namespace drover::fake
