#include "gateway/loaded_now.h"

#include <fmt/format.h>

#include <utility>

#include "jobs/stores.h"
#include "net/http_call.h"
#include "wire/catalogue.h"

namespace drover::gateway {
namespace {

std::string request_text(const Instance& instance) {
  return fmt::format(
      "GET /api/ps HTTP/1.1\r\nHost: {}\r\nUser-Agent: drover\r\nConnection: close\r\n\r\n",
      instance.host_field);
}

}  // namespace

// One ride. Shared by those who wait for it and the questions that are under way.
struct LoadedNow::Round {
  explicit Round(net::Loop& loop) : all_answered(loop) {}

  std::vector<std::shared_ptr<net::Event>> waiting;
  std::vector<std::shared_ptr<const core::Residency>> seen;  // by instance; null: no answer
  std::size_t open = 0;                                      // questions
  net::Event all_answered;
  net::Cancel over;
  std::shared_ptr<const core::FleetView> fleet;  // the result
};

LoadedNow::LoadedNow(net::Loop& loop, engine::Engine& engine, net::UpstreamPool& pool,
                     const Settings& settings)
    : loop_(loop), engine_(engine), pool_(pool), settings_(settings) {}

net::Task<std::shared_ptr<const core::FleetView>> LoadedNow::look(net::Cancel& cancel) {
  if (next_ == nullptr) next_ = std::make_shared<Round>(loop_);
  const std::shared_ptr<Round> round = next_;
  const auto here = std::make_shared<net::Event>(loop_);
  round->waiting.push_back(here);
  if (!under_way_) begin();
  (void)co_await here->wait(kNever, &cancel);
  if (round->fleet == nullptr) co_return engine_.view();
  co_return round->fleet;
}

void LoadedNow::begin() {
  under_way_ = next_ != nullptr;
  if (under_way_) loop_.spawn(ride(std::exchange(next_, nullptr)));
}

net::Task<void> LoadedNow::ride(std::shared_ptr<Round> round) {
  const std::shared_ptr<const core::FleetView> before = engine_.view();
  round->seen.resize(before->backends.size());
  for (std::size_t i = 0; i < settings_.instances.size(); ++i) {
    if (!jobs::answers(before->backends[settings_.instances[i].id.value])) continue;
    ++round->open;
    loop_.spawn(ask(round, i));
  }
  const Instant deadline = loop_.now() + settings_.deadlines.loaded_now;
  if (round->open > 0) (void)co_await round->all_answered.wait(deadline);
  round->over.trigger(net::CancelReason::kShutdown);
  core::FleetView now = *engine_.view();
  for (core::BackendView& backend : now.backends) {
    std::shared_ptr<const core::Residency>& seen = round->seen[backend.id.value];
    if (seen != nullptr) backend.residency = std::move(seen);
  }
  round->fleet = std::make_shared<const core::FleetView>(std::move(now));
  for (const std::shared_ptr<net::Event>& waiting : round->waiting) waiting->set();
  begin();
}

net::Task<void> LoadedNow::ask(std::shared_ptr<Round> round, std::size_t which) {
  const Instance& instance = settings_.instances[which];
  const Instant deadline = loop_.now() + settings_.deadlines.loaded_now;
  net::HttpCall call(loop_, &round->over);
  Result<std::unique_ptr<net::Stream>> stream =
      co_await pool_.connect(instance.address, &round->over);
  Result<void> done = stream ? Result<void>() : Result<void>(stream.error());
  if (stream) call.adopt(std::move(*stream));
  const std::string request = request_text(instance);
  if (done) done = co_await call.send(request, settings_.deadlines.loaded_now);
  if (done) done = co_await call.read_head(wire::Method::kGet, deadline);
  std::string body;
  for (bool more = done && call.status() == 200; more;) {
    Result<bool> piece = co_await call.read_more(body, deadline);
    more = piece.ok() && *piece && body.size() <= settings_.limits.document_bytes;
    // Whole, or nothing of it counts.
    if (!piece || body.size() > settings_.limits.document_bytes) body.clear();
  }
  Result<std::vector<LoadedModel>> models = wire::read_ps(body);
  if (models && !round->over.triggered()) {
    round->seen[instance.id.value] = std::make_shared<const core::Residency>(*std::move(models));
  }
  if (--round->open == 0) round->all_answered.set();
}

}  // namespace drover::gateway
