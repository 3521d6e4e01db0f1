#include "live_fleet/live_fleet.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>

namespace drover::live {
namespace {

constexpr std::string_view kJson = "application/json; charset=utf-8";
constexpr std::string_view kLines = "application/x-ndjson";
constexpr std::string_view kThen = "2026-01-01T00:00:00Z";
// How often tokens are sent: each by itself would cost the two cores more than the instances take.
constexpr Duration kBreath = std::chrono::milliseconds(100);

struct Wanted {
  std::string model;
  std::string prompt;
  bool unloads = false;
};

std::optional<Wanted> read(const std::string& body) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (parser.parse(body).get(root) != simdjson::SUCCESS) return std::nullopt;
  Wanted wanted;
  std::string_view text;
  if (root["model"].get(text) == simdjson::SUCCESS) wanted.model = text;
  if (root["prompt"].get(text) == simdjson::SUCCESS) wanted.prompt = text;
  std::int64_t keep_alive = -1;
  wanted.unloads = root["keep_alive"].get(keep_alive) == simdjson::SUCCESS && keep_alive == 0;
  return wanted;
}

std::optional<sim::JobIndex> job_of(const std::string& prompt) {
  sim::JobIndex job = 0;
  if (!prompt.starts_with("job ")) return std::nullopt;
  const char* end = prompt.data() + prompt.size();
  if (std::from_chars(prompt.data() + 4, end, job).ec != std::errc()) return std::nullopt;
  return job;
}

std::string digest(const std::string& model) {
  return fmt::format("{:064x}", std::hash<std::string>{}(model));
}

std::uint64_t bytes_of(double gigabytes) { return static_cast<std::uint64_t>(gigabytes * 1e9); }
std::int64_t nanoseconds(double seconds) { return static_cast<std::int64_t>(seconds * 1e9); }

}  // namespace

LiveFleet::LiveFleet(net::Loop& loop, const sim::Fleet& fleet, const sim::Workload& workload)
    : loop_(loop), fleet_(fleet), workload_(workload), began_(loop.now()), nudge_(loop) {
  const std::uint32_t hosts = 1 + *std::ranges::max_element(fleet.hosts);
  for (std::uint32_t i = 0; i < hosts; ++i) hosts_.emplace_back(fleet);
  for (std::uint32_t i = 0; i < fleet.gpus.size(); ++i) {
    backends_.emplace_back(fleet, workload.jobs, hosts_[fleet.hosts[i]], i);
  }
  loop_.spawn(keep_time());
}

std::vector<net::Endpoint> LiveFleet::listen() {
  std::vector<net::Endpoint> ports;
  for (std::uint32_t i = 0; i < backends_.size(); ++i) {
    auto listener = loop_.listen(*net::Endpoint::parse("127.0.0.1:0"), {});
    if (!listener) return {};
    ports.push_back((*listener)->local());
    loop_.spawn(accept(i, std::move(*listener)));
  }
  return ports;
}

// --- time ---

sim::SimBackend& LiveFleet::at(sim::InstanceIndex instance) {
  backends_[instance].advance(now());
  return backends_[instance];
}

void LiveFleet::heed() {
  for (sim::SimBackend& backend : backends_) {
    for (const sim::Notice& notice : backend.take_notices()) {
      if (notice.job == sim::kNoJob) {
        for (net::Event* event : loading_[{notice.instance, notice.model}]) event->set();
        continue;
      }
      const auto found = asked_.find(notice.job);
      if (found == asked_.end()) continue;
      Asked& asked = *found->second;
      asked.writes = true;
      asked.cached = notice.cached;
      asked.ended = notice.kind != sim::Notice::Kind::kFirstToken;
      if (asked.ended) asked.took = notice.durations;
      asked.changed.set();
    }
  }
  nudge_.set();
}

net::Task<void> LiveFleet::keep_time() {
  for (;;) {
    Instant next = kNever;
    for (const sim::SimBackend& backend : backends_) next = std::min(next, backend.next_due());
    for (const sim::Host& host : hosts_) next = std::min(next, host.next_due());
    const Instant due = next == kNever ? kNever : began_ + (next - Instant{});
    (void)co_await nudge_.wait(due);
    for (sim::Host& host : hosts_) {
      for (const sim::InstanceIndex instance : host.finished(now())) {
        at(instance).read_done(now());
      }
    }
    for (std::uint32_t i = 0; i < backends_.size(); ++i) (void)at(i);
    heed();
    nudge_.clear();
  }
}

// --- questions ---

net::Task<void> LiveFleet::accept(sim::InstanceIndex instance,
                                  std::unique_ptr<net::Listener> listener) {
  for (;;) {
    auto stream = co_await listener->accept(nullptr);
    if (!stream.ok()) co_return;
    loop_.spawn(converse(instance, std::move(*stream)));
  }
}

net::Task<void> LiveFleet::converse(sim::InstanceIndex instance,
                                    std::unique_ptr<net::Stream> stream) {
  fake::Connection client(loop_, std::move(stream));
  for (;;) {
    fake::Request request;
    const bool came = co_await client.read_request(request);
    if (!came) co_return;
    co_await answer(instance, client, request);
    const bool settled = co_await client.drain();
    if (!settled || !client.keeps()) co_return;
  }
}

net::Task<void> LiveFleet::answer(sim::InstanceIndex instance, fake::Connection& client,
                                  const fake::Request& request) {
  if (request.path == "/api/tags") {
    client.answer(200, kJson, tags(instance));
  } else if (request.path == "/api/ps") {
    client.answer(200, kJson, ps(instance));
  } else if (request.path == "/api/version") {
    client.answer(200, kJson, R"({"version":"0.32.15"})");
  } else if (request.path != "/api/generate") {
    client.answer(200, "text/plain", "Ollama is running");
  } else {
    const std::optional<Wanted> wanted = read(request.body);
    const auto named = [&](const sim::Model& model) {
      return wanted && (model.name == wanted->model || model.name + ":latest" == wanted->model);
    };
    const auto model = std::ranges::find_if(fleet_.models, named);
    if (model == fleet_.models.end()) {
      client.answer(404, kJson, R"({"error":"no such model"})");
      co_return;
    }
    const auto index = static_cast<sim::ModelIndex>(model - fleet_.models.begin());
    const std::optional<sim::JobIndex> job = job_of(wanted->prompt);
    if (job && *job < workload_.jobs.size()) {
      co_await generate(instance, client, *job);
    } else if (wanted->unloads) {
      at(instance).unload(index, now());
      heed();
      client.answer(200, kJson, R"({"done":true,"done_reason":"unload"})");
    } else {
      co_await load(instance, client, index);
    }
  }
}

net::Task<void> LiveFleet::load(sim::InstanceIndex instance, fake::Connection& client,
                                sim::ModelIndex model) {
  net::Event loaded(loop_);
  std::vector<net::Event*>& waiting = loading_[{instance, model}];
  waiting.push_back(&loaded);
  at(instance).load(model, now());
  heed();
  (void)co_await loaded.wait(kNever, &client.gone());
  std::erase(waiting, &loaded);
  client.answer(200, kJson, R"({"done":true,"done_reason":"load"})");
}

std::uint64_t LiveFleet::written(sim::InstanceIndex instance, sim::JobIndex job) {
  const sim::SimBackend::Runner* runner = at(instance).ready_runner(workload_.jobs[job].model);
  if (runner == nullptr) return 1;
  const auto slot = std::ranges::find(runner->running, job, &sim::SimBackend::Running::job);
  if (slot == runner->running.end() || !slot->decoding) return 1;
  const double left = std::max(0.0, slot->end - runner->written);
  return workload_.jobs[job].output - static_cast<std::uint64_t>(left);
}

net::Task<void> LiveFleet::generate(sim::InstanceIndex instance, fake::Connection& client,
                                    sim::JobIndex job) {
  const sim::Job& what = workload_.jobs[job];
  const std::string head = fmt::format(R"({{"model":"{}","created_at":"{}","response":")",
                                       fleet_.models[what.model].name, kThen);
  Asked asked(loop_);
  asked_[job] = &asked;
  at(instance).submit(job, now());
  heed();
  std::uint64_t sent = 0;
  while (!asked.ended) {
    const Instant again = asked.writes ? loop_.now() + kBreath : kNever;
    const net::WaitResult result = co_await asked.changed.wait(again, &client.gone());
    asked.changed.clear();
    if (result == net::WaitResult::kCancelled) {
      at(instance).cancel(job, now());
      break;
    }
    if (!asked.writes || asked.ended) continue;
    if (sent == 0) client.begin_stream(200, kLines);
    std::string lines;
    for (const std::uint64_t until = written(instance, job); sent < until; ++sent) {
      lines += head + "word \",\"done\":false}\n";
    }
    if (!lines.empty()) client.chunk(lines);
  }
  asked_.erase(job);
  heed();
  if (!asked.ended) co_return;
  std::string lines;
  if (sent == 0) client.begin_stream(200, kLines);
  for (; sent < what.output; ++sent) lines += head + "word \",\"done\":false}\n";
  lines += head;
  fmt::format_to(std::back_inserter(lines),
                 R"(","done":true,"done_reason":"stop","total_duration":{},"load_duration":{},)"
                 R"("prompt_eval_count":{},"prompt_eval_duration":{},"eval_count":{},)"
                 R"("eval_duration":{}}})"
                 "\n",
                 nanoseconds(asked.took.total_s), nanoseconds(asked.took.load_s), what.prompt,
                 nanoseconds(asked.took.prefill_s), what.output, nanoseconds(asked.took.decode_s));
  client.end_stream(lines);
}

// --- lists ---

std::string LiveFleet::tags(sim::InstanceIndex instance) const {
  std::string out = R"({"models":[)";
  for (sim::ModelIndex i = 0; i < fleet_.models.size(); ++i) {
    if (!fleet_.fits(instance, i)) continue;
    if (!out.ends_with('[')) out += ',';
    const sim::Model& model = fleet_.models[i];
    fmt::format_to(std::back_inserter(out),
                   R"({{"name":"{0}","model":"{0}","modified_at":"{1}","size":{2},)"
                   R"("digest":"{3}","details":{{}}}})",
                   model.name, kThen, bytes_of(model.file_gb), digest(model.name));
  }
  return out + "]}";
}

std::vector<sim::ModelIndex> LiveFleet::loaded(sim::InstanceIndex instance) {
  std::vector<sim::ModelIndex> models;
  for (const auto& runner : at(instance).runners()) {
    if (runner->ready()) models.push_back(runner->model);
  }
  heed();
  return models;
}

void LiveFleet::load_all(sim::InstanceIndex instance, const std::vector<sim::ModelIndex>& models) {
  for (const sim::ModelIndex model : models) at(instance).load(model, now());
  heed();
}

std::uint64_t LiveFleet::loads() const {
  std::uint64_t sum = 0;
  for (const sim::SimBackend& backend : backends_) sum += backend.totals().loads;
  return sum;
}

std::string LiveFleet::ps(sim::InstanceIndex instance) {
  std::string out = R"({"models":[)";
  for (const sim::ModelIndex index : loaded(instance)) {
    const sim::Model& model = fleet_.models[index];
    if (!out.ends_with('[')) out += ',';
    fmt::format_to(std::back_inserter(out),
                   R"({{"name":"{0}","model":"{0}","size":{1},"size_vram":{1},"digest":"{2}",)"
                   R"("expires_at":"2099-01-01T00:00:00Z","context_length":{3},"details":{{}}}})",
                   model.name, bytes_of(model.vram_gb()), digest(model.name), model.num_ctx);
  }
  return out + "]}";
}

}  // namespace drover::live
