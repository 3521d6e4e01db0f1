#include "app/orders_file.h"

#include <utility>

#include "jobs/journal.h"

namespace drover::app {
namespace {

constexpr store::Kind kOrders{"orders", jobs::kJournalVersion, jobs::kMaxJournal};

}  // namespace

OrdersFile::OrdersFile(net::Loop& loop, std::shared_ptr<const store::Folder> folder, Log& log)
    : loop_(loop), folder_(std::move(folder)), log_(log) {}

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
  // Most drovers never have any, and a thread more makes calls of the loop's dearer (log_sink.cc).
  if (!worker_) worker_ = std::make_unique<net::Worker>(loop_, "drover-orders");
  if (!worker_->busy()) begin();
}

void OrdersFile::begin() {
  auto problem = std::make_shared<std::string>();
  worker_->run(
      [problem, folder = folder_, text = *std::exchange(next_, std::nullopt)] {
        const Result<void> written = folder->write(kOrders, text);
        if (!written) *problem = written.error().message;
      },
      [this, problem] {
        const bool failed = !problem->empty();
        if (failed && !failing_) {
          log_.warn("orders would not survive a restart", {{"why", std::string_view(*problem)}});
        }
        failing_ = failed;
        if (next_) begin();
      });
}

}  // namespace drover::app
