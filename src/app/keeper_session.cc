#include "app/keeper_session.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace drover::app {
namespace {

// systemd starts a keeper again after half a second.
constexpr Duration kBetweenLooks = std::chrono::seconds(1);

}  // namespace

std::optional<int> connect_keeper(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) return std::nullopt;
  std::ranges::copy(path, address.sun_path);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
  ::close(fd);
  return std::nullopt;
}

KeeperSession::KeeperSession(Server& server, Log& log, Supervised supervised,
                             std::optional<std::string> path)
    : server_(server),
      log_(log),
      supervised_(std::move(supervised)),
      path_(std::move(path)),
      searching_(server.home()) {}

bool KeeperSession::start(int fd, keeper::MessageReader rest) {
  std::unique_ptr<net::Stream> stream = keeper::link_stream(server_.home(), fd);
  if (!stream) return false;
  KeeperLink::Heard heard;
  heard.gone = [this] { lost(); };
  heard.welcome = [this](const Supervised& now) {
    if (now == supervised_) return;
    // Instances have their places in every list here; another set is another gateway's.
    log_.warn("keeper runs other instances, draining for a new start", {});
    server_.drain();
  };
  link_ = std::make_unique<KeeperLink>(server_.home(), server_.engine(), std::move(stream),
                                       std::move(rest), supervised_.size(), std::move(heard));
  link_->start();
  return true;
}

void KeeperSession::lost() {
  if (!path_) return server_.abort();
  link_.reset();
  log_.warn("keeper is gone, looking for the next one", {});
  if (!searching_.running()) searching_.start(find_another());
}

net::Task<void> KeeperSession::find_another() {
  for (;;) {
    co_await server_.home().sleep_for(kBetweenLooks);
    const std::optional<int> fd = connect_keeper(*path_);
    if (!fd) continue;
    ::fcntl(*fd, F_SETFL, O_NONBLOCK);
    if (!start(*fd, {})) continue;
    log_.info("keeper is back", {});
    co_return;
  }
}

}  // namespace drover::app
