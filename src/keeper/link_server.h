#pragma once
// Where gateways find a keeper that did not start them: a unix socket with a Link for each that
// connects. Who may connect is decided by the mode of the socket and of its folder.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/log.h"
#include "keeper/link.h"
#include "net/epoll_loop.h"

namespace drover::keeper {

class LinkServer final : private net::EpollLoop::Watch {
 public:
  struct Heard {
    std::function<void(Link&)> came;       // a gateway; to be told what it has to know
    std::function<void(Message)> message;  // from any of them
  };
  // One that is being replaced by the next, and those of tests; more is somebody's mistake.
  static constexpr std::size_t kMostLinks = 8;

  // A socket that an earlier keeper left is removed; one that is served is not. Errors: kSystem,
  // with the remedy.
  static Result<std::unique_ptr<LinkServer>> listen(net::EpollLoop& loop, const std::string& path,
                                                    Log& log, Heard heard);
  ~LinkServer();

  void send(const Message& message);  // to each
  std::size_t links() const { return links_.size(); }

 private:
  LinkServer(net::EpollLoop& loop, std::string path, int fd, Log& log, Heard heard);
  void on_events(std::uint32_t events) override;
  void take(int fd);

  net::EpollLoop& loop_;
  std::string path_;
  int fd_;
  Log& log_;
  Heard heard_;
  std::uint64_t next_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Link>> links_;
};

}  // namespace drover::keeper
