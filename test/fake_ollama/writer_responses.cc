// /v1/responses: named events from response.created to response.completed. One output item, a
// message or a function call.

#include <fmt/format.h>

#include "fake_ollama/writer.h"

namespace drover::fake {
namespace {

class ResponsesWriter final : public Writer {
 public:
  ResponsesWriter(const Wanted& wanted, WriterContext context)
      : id_(std::move(context.id)),
        created_(context.loop.wall_now().unix_nanos / 1'000'000'000),
        model_(json_quoted(wanted.model)),
        tool_(wanted.tool_call.has_value()),
        place_(fmt::format(R"(,"item_id":"msg_{}","output_index":0,"content_index":0)", id_)) {}

  std::string_view stream_type() const override { return "text/event-stream"; }

  void begin(std::string& out) override {
    const std::string response = response_json("in_progress", "", "null");
    event(out, "response.created", R"(,"response":)" + response);
    event(out, "response.in_progress", R"(,"response":)" + response);
    if (tool_) return;
    event(out, "response.output_item.added",
          R"(,"output_index":0,"item":)" + message_json("in_progress", ""));
    event(out, "response.content_part.added", place_ + R"(,"part":)" + part_json(""));
  }

  void token(std::string& out, std::string_view text) override {
    text_ += text;
    event(out, "response.output_text.delta",
          place_ + R"(,"delta":)" + json_quoted(text) + R"(,"logprobs":[])");
  }

  void tool(std::string& out, const ToolCall& call) override {
    call_ = call_json(call, "completed");
    const std::string place = fmt::format(R"(,"item_id":"fc_{}","output_index":0)", id_);
    event(out, "response.output_item.added",
          R"(,"output_index":0,"item":)" + call_json({call.name, ""}, "in_progress"));
    event(out, "response.function_call_arguments.delta",
          place + R"(,"delta":)" + json_quoted(call.arguments));
    event(out, "response.function_call_arguments.done",
          place + fmt::format(R"(,"name":{},"arguments":{})", json_quoted(call.name),
                              json_quoted(call.arguments)));
    event(out, "response.output_item.done", R"(,"output_index":0,"item":)" + call_);
  }

  void end(std::string& out, const Finish& finish) override {
    std::string item = call_;
    if (!tool_) {
      item = message_json("completed", part_json(text_));
      event(out, "response.output_text.done",
            place_ + R"(,"text":)" + json_quoted(text_) + R"(,"logprobs":[])");
      event(out, "response.content_part.done", place_ + R"(,"part":)" + part_json(text_));
      event(out, "response.output_item.done", R"(,"output_index":0,"item":)" + item);
    }
    event(out, "response.completed",
          R"(,"response":)" + response_json("completed", item, usage(finish)));
  }

  // Nothing: the stream just ends.
  void error(std::string&, std::string_view) override {}

  std::string document(std::string_view text, const ToolCall* call, const Finish& finish) override {
    const std::string item = call == nullptr ? message_json("completed", part_json(text))
                                             : call_json(*call, "completed");
    return response_json(finish.done ? "completed" : "in_progress", item, usage(finish));
  }

 private:
  void event(std::string& out, std::string_view name, std::string_view rest) {
    out += fmt::format("event: {}\ndata: {{\"type\":\"{}\",\"sequence_number\":{}{}}}\n\n", name,
                       name, sequence_++, rest);
  }

  static std::string part_json(std::string_view text) {
    return fmt::format(R"({{"type":"output_text","text":{},"annotations":[],"logprobs":[]}})",
                       json_quoted(text));
  }

  std::string message_json(std::string_view status, std::string_view parts) const {
    return fmt::format(R"({{"id":"msg_{}","type":"message","status":"{}","role":"assistant",)"
                       R"("content":[{}]}})",
                       id_, status, parts);
  }

  std::string call_json(const ToolCall& call, std::string_view status) const {
    return fmt::format(R"({{"id":"fc_{}","type":"function_call","status":"{}","call_id":"call_{}",)"
                       R"("name":{},"arguments":{}}})",
                       id_, status, id_, json_quoted(call.name), json_quoted(call.arguments));
  }

  std::string response_json(std::string_view status, std::string_view items,
                            std::string_view used) const {
    return fmt::format(
        R"({{"id":"resp_{}","object":"response","created_at":{},"status":"{}","error":null,)"
        R"("incomplete_details":null,"instructions":null,"max_output_tokens":null,"model":{},)"
        R"("output":[{}],"parallel_tool_calls":true,"previous_response_id":null,)"
        R"("reasoning":null,"store":false,"temperature":1.0,"text":{{"format":{{"type":"text"}}}},)"
        R"("tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":{},)"
        R"("user":null,"metadata":{{}}}})",
        id_, created_, status, model_, items, used);
  }

  static std::string usage(const Finish& f) {
    return fmt::format(
        R"({{"input_tokens":{},"input_tokens_details":{{"cached_tokens":0}},"output_tokens":{},)"
        R"("output_tokens_details":{{"reasoning_tokens":0}},"total_tokens":{}}})",
        f.prompt_tokens, f.output_tokens, f.prompt_tokens + f.output_tokens);
  }

  std::string id_;
  std::int64_t created_;
  std::string model_;
  bool tool_;
  std::string place_;
  std::string text_;  // so far; the last events repeat it whole
  std::string call_;
  int sequence_ = 0;
};

}  // namespace

std::unique_ptr<Writer> make_responses_writer(const Wanted& wanted, WriterContext context) {
  return std::make_unique<ResponsesWriter>(wanted, std::move(context));
}

}  // namespace drover::fake
