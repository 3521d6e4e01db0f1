#pragma once
// Notebook: what the fleet has shown is written down, so that a restart forgets nothing. Read once
// before the first request, written every few minutes and at the end; a crash costs what was
// learned since.
//
// Nothing depends on it. A file that cannot be read is named in the log, set aside and forgotten;
// where nothing can be written, drover serves as well and says so once.

#include <cstdint>
#include <memory>
#include <string>

#include "base/log.h"
#include "engine/engine.h"
#include "net/loop.h"
#include "net/worker.h"
#include "store/folder.h"

namespace drover::app {

class Notebook {
 public:
  // How much a crash may cost. A write of a usual fleet is some kilobytes.
  static constexpr Duration kInterval = std::chrono::minutes(5);

  // Lives on the engine's home loop; `engine` and `log` outlive it. Precondition: a folder.
  Notebook(engine::Engine& engine, std::shared_ptr<const store::Folder> folder, Log& log);

  // Before the loop runs.
  void read();
  // On a thread of its own every `interval`, where something new was learned.
  void start(Duration interval = kInterval);
  // Behind the loop: waits for the disk.
  void write_at_the_end();

  // Of the newest page that this process wrote; -1: it has written none.
  std::int64_t age_seconds() const;

 private:
  // What was tried with one page, by whichever thread.
  struct Page {
    std::string text;     // empty: nothing new
    std::string problem;  // empty: none
  };
  static Page write(const store::Folder& folder, const core::Learned& learned,
                    const std::string& last);
  net::Task<void> write_now_and_then(Duration interval);
  void written(const Page& page);

  engine::Engine& engine_;
  Log& log_;
  std::shared_ptr<const store::Folder> folder_;  // null: nothing is learned
  std::string last_;                             // as it is on the disk
  Instant written_at_{};
  bool failing_ = false;
  std::unique_ptr<net::Worker> writer_;
  net::OwnedTask task_;
};

}  // namespace drover::app
