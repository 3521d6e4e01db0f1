#pragma once
// The file in which orders outlive drover: written on a thread of its own, because a disk may take
// its time.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/time.h"
#include "net/worker.h"
#include "store/folder.h"

namespace drover::app {

class OrdersFile {
 public:
  // `loop` and `log` outlive it. Precondition: a folder.
  OrdersFile(net::Loop& loop, std::shared_ptr<const store::Folder> folder, Log& log,
             Duration again = std::chrono::seconds(5));
  OrdersFile(const OrdersFile&) = delete;
  OrdersFile& operator=(const OrdersFile&) = delete;
  // Waits for the disk where the newest text is not written yet.
  ~OrdersFile();

  // What is there; empty when nothing is, or nothing that is whole: that is set aside.
  std::string read();
  // What was read says nothing that can be understood: it stays beside under another name, instead
  // of an older one like it.
  void set_aside(std::string_view why);
  // The newest text is written in the end; of those that come meanwhile some are left out. What can
  // not be written is tried again every `again`.
  void write(std::string text);

 private:
  struct Writing;
  void begin();
  void ended(Writing& writing);
  net::Task<void> write_again();

  net::Loop& loop_;
  std::shared_ptr<const store::Folder> folder_;
  Log& log_;
  Duration again_;
  std::unique_ptr<net::Worker> worker_;  // from the first write on
  std::shared_ptr<Writing> writing_;     // shared with the thread; null: it has nothing to do
  std::optional<std::string> next_;      // newer than what is being written
  bool failing_ = false;                 // said already
  net::OwnedTask retry_;
};

}  // namespace drover::app
