#include "app/orders_file.h"

#include <atomic>
#include <utility>

#include "jobs/journal.h"

namespace drover::app {
namespace {

constexpr store::Kind kOrders{"orders", jobs::kJournalVersion, jobs::kMaxJournal};

}  // namespace

// What the thread is at. Whoever begins it first does it: the thread, or the end of the file.
struct OrdersFile::Writing {
  enum class Step : std::uint8_t { kWaits, kBegun, kDone };
  explicit Writing(std::string what) : text(std::move(what)) {}

  bool begin() {
    Step waits = Step::kWaits;
    return step.compare_exchange_strong(waits, Step::kBegun);
  }
  void write(const store::Folder& folder) {
    const Result<void> written = folder.write(kOrders, text);
    if (!written) problem = written.error().message;
    step = Step::kDone;
    step.notify_all();
  }

  std::string text;
  std::string problem;  // empty: none
  std::atomic<Step> step = Step::kWaits;
};

OrdersFile::OrdersFile(net::Loop& loop, std::shared_ptr<const store::Folder> folder, Log& log,
                       Duration again)
    : loop_(loop), folder_(std::move(folder)), log_(log), again_(again), retry_(loop) {}

// An older text must not come behind a newer one, so what has begun is waited for.
OrdersFile::~OrdersFile() {
  retry_.stop();
  if (writing_ != nullptr && !writing_->begin()) {
    writing_->step.wait(Writing::Step::kBegun);
    if (writing_->problem.empty()) writing_.reset();
  }
  if (!next_ && writing_ != nullptr) next_ = std::move(writing_->text);
  if (!next_) return;
  writing_ = std::make_shared<Writing>(*std::move(next_));
  writing_->write(*folder_);
  ended(*writing_);
}

std::string OrdersFile::read() {
  Result<std::optional<std::string>> found = folder_->read(kOrders);
  if (found) return std::move(*found).value_or("");
  set_aside(found.error().message);
  return {};
}

void OrdersFile::set_aside(std::string_view why) {
  const std::string aside = folder_->set_aside(kOrders).value_or("nowhere");
  log_.warn("the journal of orders is damaged, nothing is gone on with",
            {{"why", why}, {"set_aside", std::string_view(aside)}});
}

void OrdersFile::write(std::string text) {
  next_ = std::move(text);
  // Most drovers never have any.
  if (!worker_) {
    worker_ = std::make_unique<net::Worker>(loop_, "drover-orders", net::Worker::Descriptors::kOwn);
  }
  if (!worker_->busy()) begin();
}

void OrdersFile::begin() {
  writing_ = std::make_shared<Writing>(*std::exchange(next_, std::nullopt));
  worker_->run(
      [folder = folder_, writing = writing_] {
        if (writing->begin()) writing->write(*folder);
      },
      [this] {
        const std::shared_ptr<Writing> writing = std::exchange(writing_, nullptr);
        ended(*writing);
        if (next_) return begin();
        if (writing->problem.empty()) return;
        next_ = std::move(writing->text);
        if (!retry_.running()) retry_.start(write_again());
      });
}

void OrdersFile::ended(Writing& writing) {
  const bool failed = !writing.problem.empty();
  if (failed && !failing_) {
    log_.warn("orders would not survive a restart", {{"why", std::string_view(writing.problem)}});
  } else if (!failed && failing_) {
    log_.info("orders are written down again", {});
  }
  failing_ = failed;
}

net::Task<void> OrdersFile::write_again() {
  co_await loop_.sleep_for(again_);
  if (next_ && !worker_->busy()) begin();
}

}  // namespace drover::app
