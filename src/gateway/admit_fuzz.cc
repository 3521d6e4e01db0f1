// A request of a stranger on its way through the gate: whatever is admitted, the lines that go to
// the instance and those that go back to the client are sound fields and nothing else; and the
// admin side answers every request with a page.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/testing.h"
#include "engine/engine.h"
#include "gateway/access.h"
#include "gateway/admin_instances.h"
#include "gateway/read_request.h"
#include "net/testing.h"
#include "wire/http_fuzz_grammar.h"
#include "wire/http_fuzz_pieces.h"
#include "wire/json_scanner.h"

namespace drover::gateway {
namespace {

using net::testing::ManualLoop;
using net::testing::ManualStream;
using wire::require;

class NoLog final : public Log {
 public:
  void write(LogLevel, std::string_view, std::span<const LogField>) override {}
};

// The head as the relay sends it, without the length of the body.
void check_forwarded(const Exchange& exchange) {
  const std::string text = "POST " + exchange.kept->target + " HTTP/1.1\r\nHost: instance:1\r\n" +
                           exchange.kept->forward_fields + "\r\n";
  wire::RequestParser parser({.max_bytes = 1 << 20, .max_fields = 200});  // two fields are ours
  wire::RequestHead head;
  const auto parsed = parser.parse(text, head);
  require(parsed.ok() && *parsed && **parsed == text.size(), "the instance reads one head");
  require(head.framing == wire::Framing::kNone, "nothing of the client's frames our body");
  require(head.path == exchange.route->path || exchange.kept->target.starts_with("/v1/models/"),
          "the path is one of ours");
  require(head.authority == "instance:1" && head.query.empty(), "the instance's own name");
  for (const wire::Field& field : head.fields) {
    require(!wire::is_hop_by_hop(field.name), "what ends at this hop ends here");
    const bool secret = wire::field_is(field.name, "authorization") ||
                        wire::field_is(field.name, "cookie") ||
                        wire::field_is(field.name, "x-api-key");
    require(!secret, "an instance sees no secret");
  }
}

// CORS, Allow, the id: partly the client's own words.
void check_answer_fields(const Exchange& exchange) {
  const std::string text = "HTTP/1.1 200 OK\r\n" + exchange.answer_fields + "\r\n";
  wire::ResponseParser parser;
  wire::ResponseHead head;
  const auto parsed = parser.parse(text, wire::Method::kHead, head);
  require(parsed.ok() && *parsed && **parsed == text.size(), "the client reads one head");
  require(!head.find("set-cookie") && !head.find("content-length"), "no field of its own making");
}

void check_gate(std::string_view input) {
  ManualLoop loop;
  auto stream = std::make_unique<ManualStream>(loop);
  stream->arriving = input;
  Client client(std::move(stream));
  if (!client.take_more(net::WaitResult::kReady)) return;
  if (client.buffered().size() < input.size()) return;  // more than one reading
  wire::RequestParser parser;
  wire::RequestHead head;
  const auto parsed = parser.parse(client.buffered(), head);
  if (!parsed || !*parsed) return;
  Settings settings;
  settings.access.hosts = {"*.example", "drover.test"};
  settings.access.origins = {"https://*", "http://page.test"};
  Exchange exchange(settings.limits, loop.now());
  const Result<void> admitted = admit(client, head, exchange, settings);
  check_answer_fields(exchange);
  require(client.buffered().size() + **parsed == input.size(), "only the head is consumed");
  if (admitted && exchange.route != nullptr) check_forwarded(exchange);
}

void check_json(std::string_view body) {
  wire::JsonScanner scanner({});
  while (scanner.next(body) != wire::JsonScanner::Event::kMore) {
    require(scanner.what() == nullptr, "a page is JSON");
  }
  require(scanner.complete(), "a page is whole JSON");
}

void check_admin(std::string_view input) {
  wire::RequestParser parser;
  wire::RequestHead head;
  const auto parsed = parser.parse(input, head);
  if (!parsed || !*parsed || !head.path.starts_with("/api/v1/instances")) return;
  ManualLoop loop;
  NoLog log;
  engine::Engine engine(loop, {}, core::testing::specs(2), log);
  const std::optional<AdminPage> page = answer_instances(engine, head);
  loop.settle();
  if (!page) return;
  require(page->status >= 200 && page->status < 500, "a page with a status");
  check_json(page->body);
  const std::string_view origin = head.find("origin").value_or("");
  const bool changed = page->status == 202 || (page->status == 200 && head.path.ends_with("drain"));
  require(!changed || origin.empty() || origin.find("://") != std::string_view::npos,
          "nothing is changed for a page without an address");
}

}  // namespace
}  // namespace drover::gateway

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  drover::gateway::check_gate(input);
  drover::gateway::check_admin(input);
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return drover::wire::GrammarMutation(drover::wire::kHttpGrammar, seed)
      .apply(data, size, max_size);
}
