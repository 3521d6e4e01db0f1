#include "jobs/jobs.h"

#include <algorithm>

#include "base/check.h"
#include "jobs/journal.h"
#include "jobs/state.h"
#include "wire/dialect.h"

namespace drover::jobs {
namespace {

Ending too_much(std::string_view what) {
  return {503, "application/json; charset=utf-8",
          "{\"error\":\"" + std::string(what) + "; try again in a moment\"}",
          std::chrono::seconds(5)};
}

bool is_joined(const Order& running, const Order& wanted) {
  return wanted.verb == Verb::kPull && running.verb == Verb::kPull &&
         running.model == wanted.model && running.insecure == wanted.insecure;
}

}  // namespace

// --- Watch ---

Watch::Watch(Jobs& jobs, net::Loop& here, Order order)
    : jobs_(jobs.state_), box_(std::make_shared<Jobs::Mailbox>(here)), news_(here) {
  box_->news = &news_;
  jobs_->home().post([state = jobs_, box = box_, order = std::move(order)]() mutable {
    state->take(std::move(order), std::move(box));
  });
}

Watch::~Watch() {
  box_->news = nullptr;
  if (!box_->ending) jobs_->home().post([state = jobs_, box = box_] { state->leave(box); });
}

std::string Watch::take() {
  std::string lines;
  for (const Told& told : box_->lines) {
    lines += told.line;
    lines += '\n';
  }
  box_->lines.clear();
  news_.clear();
  return lines;
}

const Ending* Watch::ending() const { return box_->ending ? &*box_->ending : nullptr; }

// A client that reads slowly loses nothing by it: of a part only the newest line matters.
void Jobs::Mailbox::put(Told told) {
  if (news == nullptr) return;
  const auto same = std::find_if(lines.begin(), lines.end(), [&](const Told& waiting) {
    return !told.key.empty() && waiting.key == told.key;
  });
  if (same != lines.end()) {
    same->line = std::move(told.line);
  } else {
    if (lines.size() == Watch::kMaxKept) lines.pop_front();
    lines.push_back(std::move(told));
  }
  news->set();
}

// --- Jobs ---

Jobs::Jobs(engine::Engine& engine, net::Resolver& resolver, Settings settings,
           std::function<net::Task<void>()> look_again, Log& log)
    : state_(std::make_shared<State>(engine, resolver, std::move(settings), std::move(look_again),
                                     log)) {
  if (!state_->settings.left.empty()) state_->home().spawn(state_->go_on_with_left());
  if (!state_->settings.wanted.empty()) state_->home().spawn(state_->keep_wanted());
}

Jobs::~Jobs() {
  state_->jobs.clear();
  state_->lines.clear();
}

void Jobs::instance_down(BackendId instance) {
  for (const std::shared_ptr<Job>& job : state_->jobs) {
    for (Leg& leg : job->legs) {
      const bool there = leg.instance == instance && !leg.fared.done && leg.fared.error.empty();
      if (there) leg.cancel.trigger(net::CancelReason::kRevoked);
    }
  }
}

std::string Jobs::wanted() const {
  return wanted_json(state_->settings.wanted, state_->settings.stores, *state_->engine.view());
}

void Jobs::load(const core::Load& wanted) { state_->load(wanted); }

void Jobs::drain() { state_->draining = true; }

void Jobs::Job::call_off() {
  cancel.trigger(net::CancelReason::kClientGone);
  for (Leg& leg : legs) leg.cancel.trigger(net::CancelReason::kClientGone);
}

// --- State: from and to watchers ---

void Jobs::State::take(Order order, std::shared_ptr<Mailbox> box) {
  const auto refuse = [&](std::string_view what) {
    box->here.post([box, ending = too_much(what)] {
      box->ending = ending;
      if (box->news != nullptr) box->news->set();
    });
  };
  for (const std::shared_ptr<Job>& job : jobs) {
    const bool open = !job->over && !job->cancel.triggered();
    if (!open || !is_joined(job->order, order)) continue;
    if (job->watchers.size() == settings.watchers) return refuse("too many clients wait for it");
    job->watchers.push_back(box);
    box->here.post([box, lines = job->merge.so_far()] {
      for (const Told& told : lines) box->put(told);
    });
    return;
  }
  if (jobs.size() >= settings.orders) return refuse("too many changes of models are under way");
  // One that is left over begins with who asks for it, and ends as it would have without him.
  const auto left = std::ranges::find_if(settings.left,
                                         [&](const Order& each) { return is_joined(each, order); });
  const bool was_left = left != settings.left.end();
  if (was_left) settings.left.erase(left);
  begin(std::move(order), std::move(box), was_left ? Whose::kOurs : Whose::kTheWatchers);
}

void Jobs::State::begin(Order order, std::shared_ptr<Mailbox> box, Whose whose) {
  auto job = std::make_shared<Job>(home(), std::move(order));
  if (box != nullptr) job->watchers.push_back(std::move(box));
  job->began = home().now();
  job->whose = whose;
  jobs.push_back(job);
  engine.metrics().jobs_active.add(1);
  if (is_kept(job->order)) keep();
  stand_in_line(*job);
  home().spawn(run(std::move(job)));
}

void Jobs::State::keep() const {
  if (!settings.keep) return;
  std::vector<const Order*> open;
  for (const Order& order : settings.left) open.push_back(&order);
  for (const std::shared_ptr<Job>& job : jobs) {
    const bool wanted = !job->over && !job->cancel.triggered();
    if (wanted && is_kept(job->order)) open.push_back(&job->order);
  }
  settings.keep(journal_text(open));
}

bool Jobs::State::all_stores_answer() const {
  const std::shared_ptr<const core::FleetView> fleet = engine.view();
  return std::ranges::all_of(
      settings.stores, [&](const Store& store) { return writer_of(store, *fleet, {}) != nullptr; });
}

net::Task<void> Jobs::State::keep_wanted() {
  for (;;) {
    co_await home().sleep_for(settings.wanted_interval);
    if (draining) co_return;
    const std::shared_ptr<const core::FleetView> fleet = engine.view();
    for (const Lack& lack : lacking(settings.wanted, settings.stores, *fleet)) order_lack(lack);
  }
}

// Each once, and again after a pause: what fails now fails in a moment, too, and what somebody
// takes out of memory was in his way. When a load can begin is for the scheduler to say.
void Jobs::State::order_lack(const Lack& lack) {
  if (lack.load_on) {
    // One at a time, wherever it is: `lack` counts only what is loaded.
    const bool loading = std::ranges::any_of(jobs, [&](const std::shared_ptr<Job>& job) {
      return job->order.load_on && job->order.model == lack.wanted->model;
    });
    const Pause& pause = pauses[{lack.wanted->model, lack.load_on->value}];
    if (loading || pause.until > home().now() || jobs.size() >= settings.orders) return;
    return engine.want_load({*lack.load_on, lack.wanted->model});
  }
  if (jobs.size() >= settings.orders || !begins_again({lack.wanted->model, UINT32_MAX})) return;
  Order order;
  order.model = lack.wanted->model;
  order.shown = lack.wanted->shown;
  order.verb = Verb::kPull;
  order.path = "/api/pull";
  order.body = "{\"model\":" + wire::json_quote(order.shown) + ",\"stream\":true}";
  const bool under_way = std::ranges::any_of(jobs, [&](const std::shared_ptr<Job>& job) {
    return !job->over && is_joined(job->order, order);
  });
  if (!under_way) begin(std::move(order), nullptr, Whose::kOurs);
}

// However many orders are under way by now: others have left for it, and no instance loads two at
// once.
void Jobs::State::load(const core::Load& wanted) {
  Order order;
  order.verb = Verb::kLoad;
  order.model = wanted.model;
  order.shown = wanted.model.text();
  order.path = "/api/generate";
  order.load_on = wanted.backend;
  order.body =
      "{\"model\":" + wire::json_quote(order.shown) + ",\"keep_alive\":-1,\"stream\":false}";
  if (begins_again({wanted.model, wanted.backend.value})) {
    begin(std::move(order), nullptr, Whose::kOurs);
  } else {
    engine.load_done({wanted.backend, wanted.model, false, "it was ordered a moment ago"});
  }
}

// False: not now.
bool Jobs::State::begins_again(const std::pair<ModelName, std::uint32_t>& what) {
  constexpr Duration kFirstPause = std::chrono::minutes(1);
  constexpr Duration kLongestPause = std::chrono::hours(1);
  Pause& pause = pauses[what];
  if (pause.until > home().now()) return false;
  if (home().now() - pause.until > kLongestPause) pause.next = kFirstPause;
  pause.until = home().now() + pause.next;
  pause.next = std::min(2 * pause.next, kLongestPause);
  return true;
}

// Clients that ask for the same meanwhile join it, or have it behind them.
net::Task<void> Jobs::State::go_on_with_left() {
  constexpr Duration kLook = std::chrono::milliseconds(500);
  const Instant patience = home().now() + settings.resume_patience;
  while (!all_stores_answer() && home().now() < patience) co_await home().sleep_for(kLook);
  // One after the other: each beginning writes down those that are still left.
  while (!settings.left.empty()) {
    Order order = std::move(settings.left.front());
    settings.left.erase(settings.left.begin());
    log.info("model order goes on",
             {{"verb", to_string(order.verb)}, {"model", std::string_view(order.model.text())}});
    begin(std::move(order), nullptr, Whose::kOurs);
  }
}

// The last one to leave calls off what may stop half way.
void Jobs::State::leave(const std::shared_ptr<Mailbox>& box) {
  for (const std::shared_ptr<Job>& job : jobs) {
    const bool watched = std::erase(job->watchers, box) > 0;
    const Verb verb = job->order.verb;
    const bool brief = verb == Verb::kCopy || verb == Verb::kDelete || verb == Verb::kUnload ||
                       verb == Verb::kLoad;
    const bool stays =
        brief || job->whose == Whose::kOurs || (draining && is_kept(job->order) && settings.keep);
    if (watched && job->watchers.empty() && !stays) job->call_off();
  }
}

void Jobs::State::tell(Job& job, const std::vector<Told>& lines) {
  if (lines.empty()) return;
  job.streamed = true;
  for (const std::shared_ptr<Mailbox>& box : job.watchers) {
    box->here.post([box, lines] {
      for (const Told& told : lines) box->put(told);
    });
  }
}

void Jobs::State::end(Job& job, Ending ending, std::string_view result) {
  job.over = true;
  ending.streamed = job.streamed;
  for (const std::shared_ptr<Mailbox>& box : job.watchers) {
    box->here.post([box, ending] {
      box->ending = ending;
      if (box->news != nullptr) box->news->set();
    });
  }
  if (job.order.load_on) {
    const std::string why = job.legs.empty() ? "it is not there" : job.legs.front().fared.error;
    engine.load_done({*job.order.load_on, job.order.model, result == "done", why});
  }
  engine.metrics().count_job(to_string(job.order.verb), result);
  engine.metrics().jobs_active.add(-1);
  std::string stores;
  std::string errors;
  for (const Leg& leg : job.legs) {
    if (leg.fared.done) stores += (stores.empty() ? "" : ", ") + leg.fared.name;
    if (leg.fared.error.empty()) continue;
    errors += (errors.empty() ? "" : "; ") + leg.fared.name + ": " + leg.fared.error;
  }
  const bool well = result == "done" || result == "absent" || result == "cancelled";
  const LogField fields[] = {{"verb", to_string(job.order.verb)},
                             {"model", std::string_view(job.order.model.text())},
                             {"result", result},
                             {"done_in", std::string_view(stores)},
                             {"errors", std::string_view(errors)},
                             {"seconds", to_seconds(home().now() - job.began)}};
  log.write(well ? LogLevel::kInfo : LogLevel::kWarn, "model order", fields);
}

// Its place in the line of its model, then the work, then whoever is next.
net::Task<void> Jobs::State::run(std::shared_ptr<Job> job) {
  const net::WaitResult turn = co_await job->turn.wait(kNever, &job->cancel);
  if (turn == net::WaitResult::kReady) co_await carry_out(job);
  std::vector<Fared> fared;
  for (const Leg& leg : job->legs) fared.push_back(leg.fared);
  const bool cancelled = job->cancel.triggered();
  end(*job, conclude(job->order, fared), cancelled ? "cancelled" : result_of(fared));
  leave_line(*job);
  std::erase(jobs, job);
  if (is_kept(job->order)) keep();
}

// Two that write the same model take turns; whatever is over in a moment does not wait for hours.
void Jobs::State::stand_in_line(Job& job) {
  const bool writes = job.order.verb == Verb::kPull || job.order.verb == Verb::kCreate;
  if (!writes) return job.turn.set();
  std::deque<Job*>& line = lines[job.order.model];
  line.push_back(&job);
  if (line.size() == 1) job.turn.set();
}

void Jobs::State::leave_line(const Job& job) {
  const auto found = lines.find(job.order.model);
  if (found == lines.end()) return;
  std::deque<Job*>& line = found->second;
  std::erase(line, &job);
  if (line.empty()) {
    lines.erase(found);
  } else {
    line.front()->turn.set();
  }
}

}  // namespace drover::jobs
