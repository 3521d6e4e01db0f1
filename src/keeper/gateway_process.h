#pragma once
// The gateway as a child of the keeper: started with the listening sockets, started again when it
// crashes. Connections wait in the kernel meanwhile, since the keeper holds the sockets too.
//
// Belongs to the keeper's loop.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "keeper/link.h"
#include "net/child_process.h"
#include "net/epoll_loop.h"

namespace drover::keeper {

// The gateway's verb, and where it finds its descriptors: the link to the keeper, then the
// listening sockets in the order in which they were given.
inline constexpr const char* kGatewayVerb = "gateway";
inline constexpr int kLinkDescriptor = 3;
inline constexpr int kFirstListener = 4;

class GatewayProcess {
 public:
  struct Options {
    std::string drover;  // our own program
    std::vector<int> listeners;
    std::vector<std::string> environment;
    Welcome welcome;
    Duration drain{};  // that it may take when it is told to end
  };
  struct Heard {
    std::function<void()> started;           // a new one can be sent messages
    std::function<void(Message)> message;    // Served, Restart
    std::function<void(int exit_code)> end;  // it ended and stays so
  };
  GatewayProcess(net::EpollLoop& loop, Options options, Log& log, Heard heard);
  ~GatewayProcess();

  void start() { life_.start(run()); }
  void send(const Message& message);
  // Hands a signal on: it drains, or ends at once when asked again. It is not started anew. The
  // listening sockets are closed here, so that new connections are refused and not left waiting.
  void end(int signal);
  pid_t pid() const { return child_ && !child_->ended() ? child_->pid() : 0; }

 private:
  net::Task<void> run();
  Result<void> spawn();
  int exit_code() const;
  void heard(Message message);
  void misunderstood(pid_t pid, const std::string& why);
  net::Task<void> end_by_force(Duration after);

  net::EpollLoop& loop_;
  Options options_;
  Log& log_;
  Heard heard_;
  std::unique_ptr<net::ChildProcess> child_;
  std::unique_ptr<Link> link_;
  bool ready_ = false;       // this one has said that it serves
  bool ever_ready_ = false;  // one of them has
  bool ending_ = false;
  net::OwnedTask ending_timer_;
  net::OwnedTask life_;
};

}  // namespace drover::keeper
