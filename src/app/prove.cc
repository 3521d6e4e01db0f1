// `drover prove`: asks a running drover what there is, loads one instance, then all, and compares.

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <utility>

#include "app/admin_target.h"
#include "app/escape.h"
#include "app/prove_load.h"
#include "app/prove_plan.h"
#include "app/prove_report.h"
#include "app/verbs.h"
#include "config/address.h"
#include "net/cares_resolver.h"
#include "net/epoll_loop.h"
#include "probe/http_get.h"

namespace drover::app {
namespace {

// A large model from a slow disk takes minutes to load.
constexpr Duration kLoadPatience = std::chrono::minutes(5);
// A drover that has just started has asked everybody within its first round of checks.
constexpr Duration kCataloguePatience = std::chrono::seconds(5);
// Probation begins a second or two after an instance answers, and ends with its first answer.
constexpr Duration kTrustPatience = std::chrono::seconds(30);
// From the first question until every slot is at work and the readings of the GPUs, which average
// over up to a second and are a second old at most, have followed.
constexpr Duration kSettle = std::chrono::seconds(2);
// drover itself reads GPUs once a second; asking more often tells nothing new.
constexpr Duration kLookEvery = std::chrono::milliseconds(500);
constexpr unsigned kAnswerTokens = 64;
constexpr unsigned kWarmTokens = 8;

Error failed(std::string message) {
  return {ErrorKind::kUnavailable, Origin::kSelf, Retry::kNever, std::move(message)};
}

struct Place {
  net::HostPort address;
  net::Endpoint endpoint;
};

// All of it is one story on one loop: tell() is its table of contents. What a coroutine is given
// has a name first: g++ 12 destroys an aggregate that is made within a co_await twice.
class Prover {
 public:
  Prover(const cli::ProveCommand& command, config::HostPort admin)
      : command_(command), admin_(std::move(admin)), resolver_(loop_) {}

  Result<Proof> run() {
    loop_.spawn(tell());
    loop_.run();
    if (error_) return *std::move(error_);
    judge(proof_);
    return std::move(proof_);
  }

 private:
  net::Task<void> tell() {
    Result<void> done = co_await prepare();
    if (done) done = co_await warm_up();
    if (done) {
      Place one = instances_.front();
      say(fmt::format("asking {} alone for {} s", name_of(0), command_.seconds));
      proof_.one = co_await measure(std::move(one), command_.parallel, Alone::kYes);
      say(fmt::format("asking all {} through drover at {} for {} s", instances_.size(),
                      proof_.drover, command_.seconds));
      proof_.all = co_await measure(
          drover_, command_.parallel * static_cast<unsigned>(instances_.size()), Alone::kNo);
    }
    if (!done) error_ = done.error();
    loop_.stop();
  }

  net::Task<Result<void>> prepare() {
    Result<SeenFleet> fleet = co_await look();
    const Instant deadline = loop_.now() + kCataloguePatience;
    while (fleet && is_starting(*fleet) && loop_.now() < deadline) {
      co_await loop_.sleep_for(kLookEvery);
      fleet = co_await look();
    }
    if (!fleet) co_return failed(explain_no_answer(admin_, fleet.error()));
    Result<ProvePlan> plan = plan_proof(*fleet, command_.model);
    if (!plan) co_return plan.error();
    proof_.plan = *std::move(plan);
    proof_.clients = command_.parallel;
    for (const SeenInstance& one : proof_.plan.instances) {
      Result<config::Backend> url = config::parse_backend_url(one.url);
      if (!url) co_return failed(fmt::format("the instance {} has no usable address", one.name));
      net::HostPort address{url->address.host, url->address.port};
      Result<Place> place = co_await find(std::move(address));
      if (!place) co_return place.error();
      instances_.push_back(*std::move(place));
    }
    net::HostPort for_clients = client_address(*fleet);
    Result<Place> drover = co_await find(std::move(for_clients));
    if (!drover) co_return drover.error();
    drover_ = *std::move(drover);
    proof_.drover = drover_.address.to_string();
    co_return Result<void>();
  }

  static bool is_starting(const SeenFleet& fleet) {
    return std::ranges::any_of(
        fleet.instances, [](const SeenInstance& one) { return one.answers() && !one.told_models; });
  }

  // The first one that clients connect to; every address of a machine is also where its admin is.
  net::HostPort client_address(const SeenFleet& fleet) const {
    const std::string first = fleet.listen.empty() ? std::string() : fleet.listen.front();
    Result<config::HostPort> parsed = config::parse_host_port(first);
    if (!parsed) return {admin_.host, config::kClientPort};
    const auto literal = net::Endpoint::from_literal(parsed->host, parsed->port);
    if (literal && literal->is_wildcard()) return {admin_.host, parsed->port};
    return {parsed->host, parsed->port};
  }

  net::Task<Result<Place>> find(net::HostPort address) {
    const auto literal = net::Endpoint::from_literal(admin_.host, admin_.port);
    const bool admin_is_here = admin_.host == "localhost" || (literal && literal->is_loopback());
    Result<std::vector<net::Endpoint>> found =
        co_await resolver_.resolve(address, loop_.now() + kAdminPatience, nullptr);
    if (!found) {
      co_return failed(
          fmt::format("{} has no address: {}", address.to_string(), found.error().message));
    }
    if (found->front().is_loopback() && !admin_is_here) {
      co_return failed(fmt::format(
          "{} can be reached on the machine of that drover only; run 'drover prove' there",
          address.to_string()));
    }
    Place place{std::move(address), found->front()};
    co_return place;
  }

  // Loads the model everywhere at once, and has a first look at who answers.
  net::Task<Result<void>> warm_up() {
    say(fmt::format("loading {} on {} instances", text_words(proof_.plan.model),
                    instances_.size()));
    const std::vector<Generated> answers = co_await ask_each(instances_);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (answers[i].complete) continue;
      co_return failed(fmt::format("{} did not answer with {}: {}. Try another with --model",
                                   name_of(i), text_words(proof_.plan.model),
                                   text_words(answers[i].error)));
    }
    Result<void> trusted = co_await end_probation();
    if (!trusted) co_return trusted;
    if (co_await is_simulated()) {
      proof_.plan.notes.emplace_back(
          "the instances are SIMULATED: no model runs, and these numbers say nothing about this "
          "machine");
    }
    co_return Result<void>();
  }

  // One question at each place, all at once.
  net::Task<std::vector<Generated>> ask_each(std::vector<Place> places) {
    std::vector<Generated> answers(places.size());
    net::Event all_answered(loop_);
    std::size_t left = places.size();
    for (std::size_t i = 0; i < places.size(); ++i) {
      loop_.spawn(ask_one(places[i], answers[i], left, all_answered));
    }
    co_await all_answered.wait(kNever);  // each has its own deadline
    co_return answers;
  }

  net::Task<void> ask_one(Place place, Generated& answer, std::size_t& left,
                          net::Event& all_answered) {
    GenerateAsk ask{place.endpoint, place.address.to_string(), proof_.plan.model,
                    "Why are two GPUs faster than one?", kWarmTokens};
    answer = co_await generate(loop_, std::move(ask), loop_.now() + kLoadPatience, nullptr, {});
    if (--left == 0) all_answered.set();
  }

  // An instance that has just come up gets one request through drover at a time, until one was
  // answered: measured so it would be idle.
  net::Task<Result<void>> end_probation() {
    const Instant deadline = loop_.now() + kTrustPatience;
    for (;;) {
      const Result<SeenFleet> fleet = co_await look();
      if (!fleet) co_return failed(explain_no_answer(admin_, fleet.error()));
      const SeenInstance* waiting = nullptr;
      for (const SeenInstance& one : proof_.plan.instances) {
        const SeenInstance* now = fleet->find(one.name);
        if (now == nullptr || now->health != "up") waiting = &one;
      }
      if (waiting == nullptr) co_return Result<void>();
      if (loop_.now() > deadline) {
        co_return failed(
            fmt::format("{} does not come up; see 'drover status'", text_words(waiting->name)));
      }
      std::vector<Place> through_drover(instances_.size(), drover_);
      co_await ask_each(std::move(through_drover));
      co_await loop_.sleep_for(kLookEvery);
    }
  }

  // The stand-in for Ollama says so itself.
  net::Task<bool> is_simulated() {
    for (const Place& place : instances_) {
      const Result<probe::GetAnswer> answer = co_await probe::http_get(
          loop_, resolver_, place.address, "/api/version", loop_.now() + kAdminPatience, nullptr);
      if (answer && answer->body.find("\"simulated\":true") != std::string::npos) co_return true;
    }
    co_return false;
  }

  enum class Alone : std::uint8_t { kYes, kNo };

  net::Task<ProvePhase> measure(Place at, unsigned clients, Alone alone) {
    const Duration window = std::chrono::seconds(command_.seconds);
    Load load(loop_, {at.endpoint, at.address.to_string(), proof_.plan.model, clients,
                      kAnswerTokens, kSettle, window});
    readings_.clear();
    net::OwnedTask watching(loop_);
    watching.start(watch(load, alone == Alone::kYes ? 0 : clients));
    ProvePhase phase;
    phase.load = co_await load.run();
    watching.stop();
    for (const auto& [index, seen] : readings_) {
      phase.gpus.push_back({index, seen.sum / seen.count});
    }
    co_return phase;
  }

  // While the window is open: how busy are the devices, is somebody else here, is everybody well?
  // `ours` are the requests that drover knows of.
  net::Task<void> watch(const Load& load, std::int64_t ours) {
    for (;;) {
      co_await loop_.sleep_for(kLookEvery);
      if (!load.measuring()) continue;
      Result<SeenFleet> fleet = co_await look();
      if (!load.measuring()) continue;
      if (!fleet) {
        spoil(fmt::format("drover's admin side did not answer ({})", fleet.error().message));
        continue;
      }
      read_gpus(*fleet);
      std::int64_t in_flight = 0;
      for (const SeenInstance& one : fleet->instances) in_flight += one.in_flight;
      if (in_flight > ours) spoil("other requests were under way meanwhile");
      for (const SeenInstance& before : proof_.plan.instances) check(before, *fleet);
    }
  }

  void read_gpus(const SeenFleet& fleet) {
    for (const SeenGpu& gpu : fleet.gpus) {
      if (!gpu.utilization) continue;
      Readings& all = readings_[gpu.index];
      all.sum += *gpu.utilization;
      all.count += 1;
    }
  }

  void check(const SeenInstance& before, const SeenFleet& fleet) {
    const SeenInstance* now = fleet.find(before.name);
    if (now == nullptr || now->health != "up") {
      spoil(fmt::format("{} went {} ({})", text_words(before.name),
                        now == nullptr ? "away" : text_words(now->health),
                        now == nullptr ? "not in the status any more" : text_words(now->reason)));
    } else if (before.pid != 0 && now->pid != before.pid) {
      spoil(fmt::format("the process of {} ended and was started again", text_words(before.name)));
    }
  }

  void spoil(std::string why) {
    auto& all = proof_.spoiled;
    if (std::ranges::find(all, why) == all.end()) all.push_back(std::move(why));
  }

  net::Task<Result<SeenFleet>> look() {
    net::HostPort at{admin_.host, admin_.port};
    const Result<probe::GetAnswer> answer = co_await probe::http_get(
        loop_, resolver_, std::move(at), "/api/v1/status", loop_.now() + kAdminPatience, nullptr);
    if (!answer) co_return answer.error();
    co_return read_fleet(answer->body);
  }

  std::string name_of(std::size_t number) const {
    return text_words(proof_.plan.instances[number].name);
  }

  void say(const std::string& line) const {
    if (command_.output == cli::Output::kText) std::fprintf(stderr, "%s …\n", line.c_str());
  }

  struct Readings {
    double sum = 0;
    double count = 0;
  };

  const cli::ProveCommand& command_;
  config::HostPort admin_;
  net::EpollLoop loop_;
  net::CaresResolver resolver_;
  std::vector<Place> instances_;  // in step with the plan's
  Place drover_;
  std::map<std::int64_t, Readings> readings_;  // by index of the GPU, in this window
  Proof proof_;
  std::optional<Error> error_;
};

}  // namespace

cli::Printed run_prove(const cli::ProveCommand& command, const config::Environment& environment) {
  const auto failure = [](const std::string& message) {
    return cli::Printed{cli::kFailed, "", "drover: " + message + "\n"};
  };
  const Result<AdminTarget> target = admin_target(command.config, environment);
  if (!target) return failure(target.error().message);
  const Result<Proof> proof = Prover(command, target->admin).run();
  if (!proof) return failure(target->warning + proof.error().message);
  const bool json = command.output == cli::Output::kJson;
  return {proof->spoiled.empty() ? cli::kDone : cli::kFailed,
          json ? proof_json(*proof) : "\n" + proof_text(*proof), target->warning};
}

}  // namespace drover::app
