// /v1/messages: named events from message_start to message_stop.

#include <fmt/format.h>

#include "fake_ollama/writer.h"

namespace drover::fake {
namespace {

class AnthropicWriter final : public Writer {
 public:
  AnthropicWriter(const Wanted& wanted, WriterContext context)
      : id_(std::move(context.id)),
        prompt_tokens_(context.prompt_tokens),
        model_(json_quoted(wanted.model)),
        tool_(wanted.tool_call.has_value()) {}

  std::string_view stream_type() const override { return "text/event-stream"; }

  void begin(std::string& out) override {
    event(out, "message_start",
          fmt::format(R"(,"message":{{"id":"msg_{}","type":"message","role":"assistant",)"
                      R"("model":{},"content":[],"stop_reason":null,"stop_sequence":null,)"
                      R"("usage":{{"input_tokens":{},"output_tokens":0}}}})",
                      id_, model_, prompt_tokens_));
    if (tool_) return;  // its block is opened with the call's name
    event(out, "content_block_start", R"(,"index":0,"content_block":{"type":"text","text":""})");
    event(out, "ping", "");
  }

  void token(std::string& out, std::string_view text) override {
    out +=
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
        "\"delta\":{\"type\":\"text_delta\",\"text\":";
    append_quoted(out, text);
    out += "}}\n\n";
  }

  void tool(std::string& out, const ToolCall& call) override {
    event(out, "content_block_start",
          fmt::format(R"(,"index":0,"content_block":{{"type":"tool_use","id":"call_{}",)"
                      R"("name":{},"input":{{}}}})",
                      id_, json_quoted(call.name)));
    event(out, "content_block_delta",
          fmt::format(R"(,"index":0,"delta":{{"type":"input_json_delta","partial_json":{}}})",
                      json_quoted(call.arguments)));
  }

  void end(std::string& out, const Finish& finish) override {
    event(out, "content_block_stop", R"(,"index":0)");
    event(out, "message_delta",
          fmt::format(R"(,"delta":{{"stop_reason":"{}","stop_sequence":null}},)"
                      R"("usage":{{"input_tokens":{},"output_tokens":{}}})",
                      reason(finish), finish.prompt_tokens, finish.output_tokens));
    event(out, "message_stop", "");
  }

  // Nothing: the stream just ends.
  void error(std::string&, std::string_view) override {}

  std::string document(std::string_view text, const ToolCall* call, const Finish& finish) override {
    const std::string content =
        call == nullptr
            ? fmt::format(R"({{"type":"text","text":{}}})", json_quoted(text))
            : fmt::format(R"({{"type":"tool_use","id":"call_{}","name":{},"input":{}}})", id_,
                          json_quoted(call->name), call->arguments);
    const std::string why =
        finish.done ? fmt::format("\"{}\"", reason(finish)) : std::string("null");
    return fmt::format(R"({{"id":"msg_{}","type":"message","role":"assistant","model":{},)"
                       R"("content":[{}],"stop_reason":{},"stop_sequence":null,)"
                       R"("usage":{{"input_tokens":{},"output_tokens":{}}}}})",
                       id_, model_, content, why, finish.prompt_tokens, finish.output_tokens);
  }

 private:
  static void event(std::string& out, std::string_view name, std::string_view rest) {
    out += fmt::format("event: {}\ndata: {{\"type\":\"{}\"{}}}\n\n", name, name, rest);
  }

  std::string_view reason(const Finish& finish) const {
    if (tool_) return "tool_use";
    return finish.limited ? "max_tokens" : "end_turn";
  }

  std::string id_;
  std::uint64_t prompt_tokens_;
  std::string model_;
  bool tool_;
};

}  // namespace

std::unique_ptr<Writer> make_anthropic_writer(const Wanted& wanted, WriterContext context) {
  return std::make_unique<AnthropicWriter>(wanted, std::move(context));
}

}  // namespace drover::fake
