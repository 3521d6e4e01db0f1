#pragma once
// One connection of a client in the simulated network: the test says what it sends and when it
// reads or leaves; every byte that came back is kept.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/loop.h"
#include "net/stream.h"
#include "net/task.h"
#include "net/wait.h"

namespace drover::simtest {

// One answer as it stands in the bytes that a client received.
struct Reply {
  int status = 0;
  int minor_version = 1;
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
  std::string body;                                         // decoded
  bool complete = false;  // the framing, or the close where there is none, says so
  bool chunked = false;

  // Empty when there is none.
  std::string field(std::string_view lower_case_name) const;
  std::string type() const { return field("content-type"); }
};

class Client {
 public:
  explicit Client(net::Loop& loop) : loop_(loop), wake_writer_(loop), wake_reader_(loop) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void connect(net::Endpoint to);
  // Sent as soon as it is connected and the earlier bytes are out.
  void say(std::string_view bytes);
  // Sends its FIN once everything said is out.
  void finish();
  // Closes the connection.
  void leave() { leaving_.trigger(net::CancelReason::kClientGone); }
  void stop_reading() { reads_ = false; }
  void go_on_reading();

  bool connected() const { return connected_; }
  bool reset() const { return reset_; }
  bool ended() const { return ended_; }
  bool closed() const { return reset_ || ended_; }
  bool gone() const { return started_ && tasks_ == 0; }  // has left, or was left
  const std::string& raw() const { return raw_; }
  Instant last_byte() const { return last_byte_; }
  Instant closed_at() const { return closed_at_; }

  // What `raw` holds; interim responses are left out. `heads` tells which requests were HEAD.
  std::vector<Reply> replies(const std::vector<bool>& heads = {}) const;
  // The first one; an empty one when nothing came.
  Reply reply(bool head = false) const;
  // Bytes that are no HTTP, or follow the last answer.
  bool malformed() const;

 private:
  net::Task<void> live(net::Endpoint to);
  net::Task<void> write();
  net::Task<void> read();
  void task_ended();
  bool parse(const std::vector<bool>& heads, std::vector<Reply>& into) const;

  net::Loop& loop_;
  std::unique_ptr<net::Stream> stream_;
  net::Event wake_writer_;
  net::Event wake_reader_;
  net::Cancel leaving_;
  std::string outbox_;
  std::string raw_;
  Instant last_byte_{};
  Instant closed_at_{};
  int tasks_ = 0;
  bool started_ = false;
  bool reads_ = true;
  bool finishing_ = false;
  bool connected_ = false;
  bool reset_ = false;
  bool ended_ = false;
};

}  // namespace drover::simtest
