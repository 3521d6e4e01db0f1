#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "jobs/state.h"
#include "net/http_call.h"
#include "wire/dialect.h"

namespace drover::jobs {
namespace {

constexpr std::size_t kMaxDocument = 1024 * 1024;  // of an answer in one piece
constexpr std::size_t kMaxLine = 1024 * 1024;      // of progress
// A pull goes on where it stopped, so another member of the store may take it over.
constexpr std::size_t kMostWriters = 3;
// Of a request body: an instance that takes nothing for so long is not at work.
constexpr Duration kStall = std::chrono::seconds(30);

bool is_transfer(Verb verb) {
  return verb == Verb::kPull || verb == Verb::kPush || verb == Verb::kCreate;
}

std::string request_text(const Order& order, std::string_view path, std::string_view body,
                         const net::HostPort& address) {
  return fmt::format(
      "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: drover\r\nAccept: application/x-ndjson\r\n"
      "Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
      order.verb == Verb::kDelete && path == order.path ? "DELETE" : "POST", path,
      address.to_string(), body.size(), body);
}

// What an instance's error body says; without one, its status.
std::string error_of(int status, const std::string& body) {
  Result<wire::ProgressLine> read = wire::read_progress(body);
  if (read && !read->error.empty()) return read->error;
  return fmt::format("status {}", status);
}

Error said(std::string text) {
  return {ErrorKind::kUpstream, Origin::kInstance, Retry::kNever, std::move(text)};
}

// Where the configuration says in how many stores: those that have it already, then others that
// answer.
void keep_to_copies(const Order& order, const core::FleetView& fleet,
                    const std::vector<Wanted>& wanted, std::vector<const Store*>& chosen) {
  const auto found = std::ranges::find(wanted, order.model, &Wanted::model);
  if (found == wanted.end() || !found->stores || *found->stores >= chosen.size()) return;
  std::ranges::stable_sort(chosen, {}, [&](const Store* store) {
    if (has_model(*store, fleet, order.model) == Has::kYes) return 0;
    return writer_of(*store, fleet, {}) != nullptr ? 1 : 2;
  });
  chosen.resize(std::max<std::size_t>(1, *found->stores));
}

}  // namespace

// --- what has to be done ---

void Jobs::State::choose_stores(Job& job) {
  const std::shared_ptr<const core::FleetView> fleet = engine.view();
  const Order& order = job.order;
  std::vector<const Store*> chosen;
  for (const Store& store : settings.stores) {
    const bool holds = order.from.empty() || has_model(store, *fleet, order.from) == Has::kYes;
    if (holds) chosen.push_back(&store);
  }
  // Nobody is known to have it: then each says so in its own words.
  if (chosen.empty()) {
    for (const Store& store : settings.stores) chosen.push_back(&store);
  }
  if (order.verb == Verb::kPull) keep_to_copies(order, *fleet, settings.wanted, chosen);
  if (order.verb == Verb::kPush) {
    const auto reachable = std::find_if(chosen.begin(), chosen.end(), [&](const Store* store) {
      return writer_of(*store, *fleet, {}) != nullptr;
    });
    chosen = {reachable == chosen.end() ? chosen.front() : *reachable};
  }
  const bool leaves_things_alone = order.verb == Verb::kCopy || order.verb == Verb::kDelete;
  for (const Store* store : chosen) {
    const ModelName& needed = order.verb == Verb::kCopy ? order.from : order.model;
    const bool away = writer_of(*store, *fleet, {}) == nullptr;
    // Who is away and had nothing of it when it was last heard has nothing to do.
    if (away && leaves_things_alone && has_model(*store, *fleet, needed) == Has::kNo) continue;
    Leg& leg = job.legs.emplace_back();
    leg.index = job.legs.size() - 1;
    leg.store = store;
    leg.fared.name = store->name;
  }
}

// Every instance that answers: what is loaded there may be listed under another name.
void Jobs::State::choose_instances(Job& job) {
  const std::shared_ptr<const core::FleetView> fleet = engine.view();
  for (const Store& store : settings.stores) {
    for (const Member& member : store.members) {
      if (!answers(fleet->backends[member.id.value])) continue;
      if (job.order.load_on && *job.order.load_on != member.id) continue;
      Leg& leg = job.legs.emplace_back();
      leg.instance = member.id;
      leg.fared.name = member.name;
    }
  }
}

net::Task<void> Jobs::State::carry_out(std::shared_ptr<Job> job) {
  const Verb verb = job->order.verb;
  if (verb == Verb::kDelete) co_await unload_everywhere(job);
  if (verb == Verb::kUnload || verb == Verb::kLoad) {
    choose_instances(*job);
  } else {
    choose_stores(*job);
  }
  if (verb == Verb::kPull) choose_source(*job);
  job->merge = wire::ProgressMerge(std::max<std::size_t>(1, job->legs.size()));
  if (job->legs.size() > 1) {
    std::vector<std::string> names;
    for (const Leg& leg : job->legs) names.push_back(leg.fared.name);
    job->merge = wire::ProgressMerge(std::move(names));
  }
  if (verb == Verb::kPull) tell(*job, {job->merge.announce("pulling manifest")});
  co_await all_legs(job);
  if (job->cancel.triggered()) co_return;
  // Lists shall be true when the client hears that it is done.
  co_await look_again();
  co_await engine.show();
}

// Files of a loaded model would stay on the disk, and the model in memory, until its time is over.
// Whether it worked does not matter: the delete that follows is what was asked for.
net::Task<void> Jobs::State::unload_everywhere(std::shared_ptr<Job> job) {
  Order order;
  order.verb = Verb::kUnload;
  order.path = "/api/generate";
  order.body = fmt::format("{{\"model\":{},\"keep_alive\":0,\"stream\":false}}",
                           wire::json_quote(job->order.shown));
  auto unload = std::make_shared<Job>(home(), std::move(order));
  choose_instances(*unload);
  co_await all_legs(unload);
}

net::Task<void> Jobs::State::all_legs(std::shared_ptr<Job> job) {
  job->legs_open = job->legs.size();
  for (Leg& leg : job->legs) {
    if (job->source == nullptr || job->source == &leg) home().spawn(run_leg(job, leg));
  }
  // Legs end by themselves when they are called off.
  if (!job->legs.empty()) co_await job->legs_done.wait(kNever);
}

net::Task<void> Jobs::State::run_leg(std::shared_ptr<Job> job, Leg& leg) {
  if (job->cancel.triggered()) leg.cancel.trigger(net::CancelReason::kClientGone);
  if (is_transfer(job->order.verb)) {
    if (job->source != nullptr && job->source != &leg) co_await bring_blobs(job, leg);
    co_await transfer(*job, leg);
  } else {
    co_await ask(*job, leg);
  }
  if (is_transfer(job->order.verb)) {
    using How = wire::ProgressMerge::How;
    std::vector<Told> lines;
    job->merge.ended(leg.index, leg.fared.done ? How::kWell : How::kFailed, lines);
    tell(*job, lines);
  }
  if (job->source == &leg) {
    for (Leg& other : job->legs) {
      if (&other != &leg) home().spawn(run_leg(job, other));
    }
  }
  if (--job->legs_open == 0) job->legs_done.set();
}

std::string Jobs::State::why_nobody(const Store& store) const {
  const std::shared_ptr<const core::FleetView> fleet = engine.view();
  std::string why;
  for (const Member& member : store.members) {
    const core::BackendView& instance = fleet->backends[member.id.value];
    if (answers(instance)) continue;
    const std::string_view reason =
        instance.reason.empty() ? to_string(instance.health) : std::string_view(instance.reason);
    why += fmt::format("{}{} is not there ({})", why.empty() ? "" : ", ", member.name, reason);
  }
  return why.empty() ? "no instance of it could do it" : why;
}

// --- one store or instance ---

const Member* Jobs::State::member_of(BackendId instance) const {
  for (const Store& store : settings.stores) {
    for (const Member& member : store.members) {
      if (member.id == instance) return &member;
    }
  }
  DROVER_ASSERT(!"every instance belongs to a store");
  return nullptr;
}

// Connects, sends, and reads the head of the answer. An answer that is an error is read whole.
net::Task<Result<void>> Jobs::State::open(const Job& job, Leg& leg, net::HttpCall& call) {
  const Order& order = job.order;
  const Member* const member = member_of(*leg.instance);
  Result<void> done =
      co_await call.connect(resolver, member->address, home().now() + settings.connect);
  const std::string request = request_text(order, order.path, order.body, member->address);
  if (done) done = co_await call.send(request, kStall);
  Duration patience = is_transfer(order.verb) ? settings.silence : settings.brief;
  if (order.verb == Verb::kLoad) patience = settings.load;
  if (done) done = co_await call.read_head(wire::Method::kPost, home().now() + patience);
  if (!done) co_return done;
  leg.fared.status = call.status();
  leg.fared.type = call.content_type();
  if (call.status() < 300 && is_transfer(order.verb)) co_return done;
  for (;;) {
    Result<bool> more = co_await call.read_more(leg.fared.body, home().now() + settings.brief);
    if (!more) co_return std::move(more).error();
    if (!*more) break;
    if (leg.fared.body.size() > kMaxDocument) co_return said("an answer that is too long");
  }
  if (call.status() >= 300) co_return said(error_of(call.status(), leg.fared.body));
  co_return done;
}

net::Task<void> Jobs::State::ask(Job& job, Leg& leg) {
  if (leg.store != nullptr) {
    const Member* writer = writer_of(*leg.store, *engine.view(), {});
    if (writer == nullptr) {
      leg.fared.error = why_nobody(*leg.store);
      co_return;
    }
    leg.instance = writer->id;
  }
  net::HttpCall call(home(), &leg.cancel);
  Result<void> done = co_await open(job, leg, call);
  // A model that cannot generate is asked to embed nothing.
  const bool embeds = !done && job.order.verb == Verb::kLoad && leg.fared.status == 400;
  if (embeds) {
    job.order.path = "/api/embed";
    job.order.body = fmt::format("{{\"model\":{},\"input\":[],\"keep_alive\":-1}}",
                                 wire::json_quote(job.order.shown));
    leg.fared.body.clear();
    net::HttpCall again(home(), &leg.cancel);
    done = co_await open(job, leg, again);
  }
  leg.fared.done = done.ok();
  if (!done) leg.fared.error = std::move(done).error().message;
}

net::Task<void> Jobs::State::transfer(Job& job, Leg& leg) {
  std::vector<BackendId> tried;
  while (tried.size() < kMostWriters && !job.cancel.triggered()) {
    const Member* writer = writer_of(*leg.store, *engine.view(), tried);
    if (writer == nullptr) break;
    leg.instance = writer->id;
    tried.push_back(writer->id);
    leg.cancel.reset();
    leg.fared = {leg.store->name, false, 0, {}, {}, {}};
    net::HttpCall call(home(), &leg.cancel);
    Result<void> done = co_await open(job, leg, call);
    if (done) done = co_await read_progress(job, leg, call);
    leg.fared.done = done.ok();
    if (done) co_return;
    const ErrorKind kind = done.error().kind;
    leg.fared.error = std::move(done).error().message;
    if (leg.cancel.reason() == net::CancelReason::kRevoked) leg.fared.error = "went down";
    // It said what is wrong; or nobody else may go on with what it began.
    if (kind == ErrorKind::kUpstream || job.order.verb != Verb::kPull) co_return;
    leg.fared.status = 0;
    leg.fared.error = writer->name + ": " + leg.fared.error;
  }
  if (leg.fared.error.empty()) leg.fared.error = why_nobody(*leg.store);
}

// Until the line of success. Errors: what went wrong, in the instance's words if it had any.
net::Task<Result<void>> Jobs::State::read_progress(Job& job, Leg& leg, net::HttpCall& call) {
  std::string buffer;
  for (;;) {
    Result<bool> more = co_await call.read_more(buffer, home().now() + settings.silence);
    if (!more) co_return std::move(more).error();
    if (!*more) buffer += '\n';  // a last line may lack its end
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = buffer.find('\n', begin)) != std::string::npos;) {
      const std::string_view line = std::string_view(buffer).substr(begin, end - begin);
      Result<void> taken = take_line(job, leg, line);
      if (!taken || leg.fared.done) co_return taken;
      begin = end + 1;
    }
    buffer.erase(0, begin);
    if (buffer.size() > kMaxLine) co_return said("a line of progress that is too long");
    if (*more) continue;
    co_return Error{ErrorKind::kClosed, Origin::kInstance, Retry::kSafe,
                    "its answer ended without success"};
  }
}

Result<void> Jobs::State::take_line(Job& job, Leg& leg, std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return {};
  Result<wire::ProgressLine> read = wire::read_progress(line);
  if (!read) return std::move(read).error();
  if (!read->error.empty()) return said(read->error);
  if (read->status == "success" && read->digest.empty()) {
    leg.fared.done = true;
    return {};
  }
  std::vector<Told> lines;
  job.merge.take(leg.index, *read, line, lines);
  tell(job, lines);
  return {};
}

}  // namespace drover::jobs
