#pragma once
// The file in which orders outlive drover: written on a thread of its own, because a disk may take
// its time.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/log.h"
#include "net/worker.h"
#include "store/folder.h"

namespace drover::app {

class OrdersFile {
 public:
  // `loop` and `log` outlive it. Precondition: a folder.
  OrdersFile(net::Loop& loop, std::shared_ptr<const store::Folder> folder, Log& log);

  // What is there; empty when nothing is, or nothing that is whole: that is set aside.
  std::string read();
  // What was read says nothing that can be understood: it stays beside under another name, instead
  // of an older one like it.
  void set_aside(std::string_view why);
  // The newest text is written in the end; of those that come meanwhile some are left out.
  void write(std::string text);

 private:
  void begin();

  net::Loop& loop_;
  std::shared_ptr<const store::Folder> folder_;
  Log& log_;
  std::unique_ptr<net::Worker> worker_;  // from the first write on
  std::optional<std::string> next_;
  bool failing_ = false;  // said already
};

}  // namespace drover::app
