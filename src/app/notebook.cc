#include "app/notebook.h"

#include "export/learned_text.h"

namespace drover::app {
namespace {

constexpr store::Kind kLearned{"learned", exporter::kLearnedVersion, exporter::kLearnedMaxBytes};

}  // namespace

Notebook::Notebook(engine::Engine& engine, std::shared_ptr<const store::Folder> folder, Log& log)
    : engine_(engine), log_(log), task_(engine.home()) {
  if (engine.learned()) folder_ = std::move(folder);
}

void Notebook::read() {
  if (!folder_) return;
  Result<std::optional<std::string>> found = folder_->read(kLearned);
  if (found.ok() && !*found) return;  // the first time
  std::string problem;
  if (!found.ok()) {
    problem = found.error().message;
  } else if (const auto learned = exporter::parse_learned(**found)) {
    engine_.remember(*learned);
    last_ = std::move(**found);
    log_.info("learned before", {{"models", std::uint64_t{learned->models.size()}},
                                 {"instances", std::uint64_t{learned->instances.size()}}});
    return;
  } else {
    problem = folder_->path() + "/learned has lines that cannot be understood";
  }
  const std::string aside = folder_->set_aside(kLearned).value_or("nowhere");
  log_.warn("what was learned cannot be read, and is learned anew",
            {{"reason", std::string_view(problem)}, {"set_aside", std::string_view(aside)}});
}

void Notebook::start(Duration interval) {
  if (!folder_) return;
  writer_ =
      std::make_unique<net::Worker>(engine_.home(), "drover-notes", net::Worker::Descriptors::kOwn);
  task_.start(write_now_and_then(interval));
}

Notebook::Page Notebook::write(const store::Folder& folder, const core::Learned& learned,
                               const std::string& last) {
  Page page{exporter::learned_text(learned), {}};
  if (page.text == last) return {};
  const Result<void> written = folder.write(kLearned, page.text);
  if (!written.ok()) page.problem = written.error().message;
  return page;
}

net::Task<void> Notebook::write_now_and_then(Duration interval) {
  for (;;) {
    co_await engine_.home().sleep_for(interval);
    if (writer_->busy()) continue;
    const auto learned = std::make_shared<const core::Learned>(*engine_.learned());
    const auto page = std::make_shared<Page>();
    writer_->run(
        [folder = folder_, learned, page, last = last_] { *page = write(*folder, *learned, last); },
        [this, page] { written(*page); });
  }
}

void Notebook::write_at_the_end() {
  task_.stop();
  writer_.reset();
  if (folder_) written(write(*folder_, *engine_.learned(), last_));
}

std::int64_t Notebook::age_seconds() const {
  if (written_at_ == Instant{}) return -1;
  const Duration age = engine_.home().now() - written_at_;
  return std::chrono::duration_cast<std::chrono::seconds>(age).count();
}

// A disk that is full stays so for a while: said once, and counted.
void Notebook::written(const Page& page) {
  if (page.text.empty()) return;
  engine::Metrics& metrics = engine_.metrics();
  if (page.problem.empty()) {
    last_ = page.text;
    written_at_ = engine_.home().now();
    metrics.notes_written.add();
    if (failing_) log_.info("what is learned is written down again", {});
    failing_ = false;
    return;
  }
  metrics.notes_failed.add();
  if (!failing_) {
    log_.warn("what is learned cannot be written down",
              {{"reason", std::string_view(page.problem)}});
  }
  failing_ = true;
}

}  // namespace drover::app
