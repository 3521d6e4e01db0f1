#pragma once
// The file in which orders outlive drover. It is written whole, beside the old one, and put in its
// place, so that a crash leaves one or the other; on a thread of its own, because a disk may take
// its time.

#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "net/worker.h"

namespace drover::app {

class OrdersFile {
 public:
  // `directory` exists. Everything outlives the file. Null, and the log says why: another drover
  // has it, so that each of two would go on with the other's orders.
  static std::unique_ptr<OrdersFile> open(net::Loop& loop, const std::string& directory, Log& log);
  OrdersFile(const OrdersFile&) = delete;
  OrdersFile& operator=(const OrdersFile&) = delete;
  ~OrdersFile();

  // What is there; empty when nothing is. At most `most` bytes and one.
  std::string read(std::size_t most) const;
  // It is damaged: it stays beside under another name, instead of an older one like it.
  void set_aside(std::string_view why);
  // The newest text is written in the end; of those that come meanwhile some are left out.
  void write(std::string text);

 private:
  OrdersFile(net::Loop& loop, const std::string& directory, Log& log, int lock);
  void begin();

  std::string path_;
  Log& log_;
  int lock_;  // held until the end of the process, however it ends
  net::Worker worker_;
  std::optional<std::string> next_;
  bool failing_ = false;  // said already
};

}  // namespace drover::app
