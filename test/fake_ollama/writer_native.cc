// /api/generate and /api/chat: one JSON object a line.

#include <fmt/format.h>

#include "fake_ollama/wall_text.h"
#include "fake_ollama/writer.h"

namespace drover::fake {
namespace {

class NativeWriter final : public Writer {
 public:
  NativeWriter(const Wanted& wanted, WriterContext context)
      : loop_(context.loop),
        id_(std::move(context.id)),
        chat_(wanted.route == Route::kChat),
        before_time_(fmt::format(R"({{"model":{},"created_at":")", json_quoted(wanted.model))) {}

  std::string_view stream_type() const override { return "application/x-ndjson"; }
  void begin(std::string&) override {}

  void token(std::string& out, std::string_view text) override {
    open(out);
    append_text(out, text);
    out += chat_ ? "},\"done\":false}\n" : ",\"done\":false}\n";
  }

  void tool(std::string& out, const ToolCall& call) override {
    open(out);
    append_text(out, "");
    out += tool_calls(call) + (chat_ ? "},\"done\":false}\n" : ",\"done\":false}\n");
  }

  void end(std::string& out, const Finish& finish) override {
    open(out);
    append_text(out, "");
    if (chat_) out += '}';
    out += numbers(finish) + "}\n";
  }

  void error(std::string& out, std::string_view text) override {
    out += error_body(Dialect::kNative, 500, text) + "\n";
  }

  std::string document(std::string_view text, const ToolCall* call, const Finish& finish) override {
    std::string out;
    open(out);
    append_text(out, text);
    if (call != nullptr) out += tool_calls(*call);
    if (chat_) out += '}';
    return out + numbers(finish) + "}";
  }

 private:
  void open(std::string& out) {
    out += before_time_;
    out += time_.rfc3339(loop_.wall_now());
  }

  void append_text(std::string& out, std::string_view text) {
    out += chat_ ? R"(","message":{"role":"assistant","content":)" : R"(","response":)";
    append_quoted(out, text);
  }

  std::string tool_calls(const ToolCall& call) const {
    if (!chat_) return {};
    return fmt::format(
        R"(,"tool_calls":[{{"id":"call_{}","function":{{"index":0,"name":{},"arguments":{}}}}}])",
        id_, json_quoted(call.name), call.arguments);
  }

  // Zero values are left out, as Ollama does.
  std::string numbers(const Finish& f) const {
    if (!f.done) return R"(,"done":false)";
    const std::string_view natural = f.limited ? "length" : "stop";
    std::string out = fmt::format(R"(,"done":true,"done_reason":"{}")",
                                  f.done_reason.empty() ? natural : f.done_reason);
    if (!chat_ && f.done_reason.empty()) out += R"(,"context":[1,2,3])";
    const auto add = [&out](std::string_view name, std::int64_t value) {
      if (value != 0) out += fmt::format(",\"{}\":{}", name, value);
    };
    add("total_duration", f.total.count());
    add("load_duration", f.load.count());
    add("prompt_eval_count", static_cast<std::int64_t>(f.prompt_tokens));
    add("prompt_eval_duration", f.prompt_eval.count());
    add("eval_count", static_cast<std::int64_t>(f.output_tokens));
    add("eval_duration", f.eval.count());
    return out;
  }

  net::Loop& loop_;
  std::string id_;
  bool chat_;
  std::string before_time_;
  WallText time_;
};

}  // namespace

std::unique_ptr<Writer> make_native_writer(const Wanted& wanted, WriterContext context) {
  return std::make_unique<NativeWriter>(wanted, std::move(context));
}

}  // namespace drover::fake
