#include "simnet/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "simnet/connection.h"
#include "simnet/virtual_loop.h"

namespace drover::simnet {
namespace {

using StreamPtr = std::unique_ptr<net::Stream>;

Error connect_error(ErrorKind kind, const net::Endpoint& to, std::string_view words) {
  const Retry retry = kind == ErrorKind::kCancelled ? Retry::kNever : Retry::kSafe;
  return {kind, Origin::kInstance, retry, fmt::format("connect to {}: {}", to.to_string(), words)};
}

}  // namespace

class VirtualListener final : public net::Listener {
 public:
  VirtualListener(VirtualLoop& loop, Network::Server& server, const net::Endpoint& local,
                  int backlog)
      : server_(server), local_(local), backlog_(backlog), incoming_(loop) {
    server_.listener = this;
  }
  ~VirtualListener() override {
    if (!dead_) server_.listener = nullptr;
    refuse_pending();
  }

  net::Task<Result<StreamPtr>> accept(net::Cancel* cancel) override {
    for (;;) {
      const bool waits = !pending_.empty() && !server_.is_silent();
      if (!waits && cancel != nullptr && cancel->triggered()) {
        co_return Error{ErrorKind::kCancelled, Origin::kSelf, Retry::kNever, "accept cancelled"};
      }
      if (dead_) {
        co_return Error{ErrorKind::kSystem, Origin::kSelf, Retry::kNever,
                        fmt::format("accept on {}: killed", local_.to_string())};
      }
      if (waits) {
        StreamPtr stream = std::move(pending_.front());
        pending_.pop_front();
        co_return std::move(stream);
      }
      incoming_.clear();
      co_await incoming_.wait(kNever, cancel);
    }
  }
  net::Endpoint local() const override { return local_; }

  bool has_room() const { return pending_.size() < static_cast<std::size_t>(backlog_); }
  void add(StreamPtr stream) {
    pending_.push_back(std::move(stream));
    incoming_.set();
  }
  void look_again() { incoming_.set(); }
  void die() {
    dead_ = true;
    server_.listener = nullptr;
    refuse_pending();
    incoming_.set();
  }

 private:
  void refuse_pending() {
    for (StreamPtr& stream : pending_) stream->reset_on_close();
    pending_.clear();
  }

  Network::Server& server_;
  net::Endpoint local_;
  int backlog_;
  net::Event incoming_;
  std::deque<StreamPtr> pending_;
  bool dead_ = false;
};

Network::Network(VirtualLoop& loop, NetworkOptions options)
    : loop_(loop), options_(options), rng_(options.seed) {}

Network::~Network() = default;

Result<std::unique_ptr<net::Listener>> Network::listen(const net::Endpoint& at,
                                                       net::ListenOptions options) {
  const net::Endpoint local = at.port() != 0 ? at : at.with_port(next_port_++);
  Server& here = servers_[local];
  if (here.listener != nullptr) {
    return Error{ErrorKind::kSystem, Origin::kSelf, Retry::kNever,
                 fmt::format("listen on {}: address already in use", local.to_string())};
  }
  return std::unique_ptr<net::Listener>(
      std::make_unique<VirtualListener>(loop_, here, local, options.backlog));
}

net::Task<Result<StreamPtr>> Network::connect(net::Endpoint to, Instant deadline,
                                              net::Cancel* cancel) {
  if (server(to).starved) {
    co_return Error{ErrorKind::kUnavailable, Origin::kSelf, Retry::kNever,
                    fmt::format("drover has no room for a connection to {}", to.to_string())};
  }
  const Instant answered = loop_.now() + 2 * options_.latency;
  const Instant until = std::min(answered, deadline);
  const net::WaitResult first = co_await loop_.sleep_until(until, cancel);
  if (first == net::WaitResult::kCancelled) {
    co_return connect_error(ErrorKind::kCancelled, to, "cancelled");
  }
  if (deadline < answered) co_return connect_error(ErrorKind::kTimeout, to, "timed out");

  const Server& there = server(to);
  const bool no_answer =
      there.unplugged || (there.listener != nullptr && !there.listener->has_room());
  if (no_answer) {
    const net::WaitResult waited = co_await loop_.sleep_until(deadline, cancel);
    if (waited == net::WaitResult::kCancelled) {
      co_return connect_error(ErrorKind::kCancelled, to, "cancelled");
    }
    co_return connect_error(ErrorKind::kTimeout, to, "timed out");
  }
  co_return establish(to);
}

Result<StreamPtr> Network::establish(const net::Endpoint& to) {
  Server& there = server(to);
  if (there.listener == nullptr) return connect_error(ErrorKind::kRefused, to, "refused");
  ++there.connects;
  const net::Endpoint client_at =
      net::Endpoint::parse("127.0.0.1:0")->with_port(next_client_port_++);
  auto connection = std::make_shared<Connection>(loop_, *this, there);
  auto client = std::make_unique<VirtualStream>(loop_, connection, Towards::kClient, to);
  auto accepted = std::make_unique<VirtualStream>(loop_, connection, Towards::kServer, client_at);
  std::erase_if(there.connections, [](const std::weak_ptr<Connection>& known) {
    const std::shared_ptr<Connection> alive = known.lock();
    return !alive || !alive->is_open();
  });
  there.connections.push_back(connection);
  if (!there.next_faults.empty()) {
    connection->add_fault(there.next_faults.front());
    there.next_faults.pop_front();
  }
  there.listener->add(std::move(accepted));
  return StreamPtr(std::move(client));
}

void Network::fault_next(const net::Endpoint& at, Fault fault) {
  server(at).next_faults.push_back(fault);
}

void Network::fault_present(const net::Endpoint& at, Fault fault) {
  for (const std::shared_ptr<Connection>& connection : present(at)) connection->add_fault(fault);
}

void Network::release(const net::Endpoint& at) {
  for (const std::shared_ptr<Connection>& connection : present(at)) connection->release();
}

void Network::kill(const net::Endpoint& at) {
  Server& victim = server(at);
  victim.frozen = false;
  for (const std::shared_ptr<Connection>& connection : present(at)) connection->reset_both();
  if (victim.listener != nullptr) victim.listener->die();
}

void Network::freeze(const net::Endpoint& at) { server(at).frozen = true; }

void Network::thaw(const net::Endpoint& at) {
  server(at).frozen = false;
  wake_up(at);
}

void Network::starve(const net::Endpoint& at) { server(at).starved = true; }

void Network::feed(const net::Endpoint& at) { server(at).starved = false; }

void Network::unplug(const net::Endpoint& at) { server(at).unplugged = true; }

void Network::plug(const net::Endpoint& at) {
  server(at).unplugged = false;
  wake_up(at);
}

void Network::wake_up(const net::Endpoint& at) {
  for (const std::shared_ptr<Connection>& connection : present(at)) connection->deliver_all();
  if (VirtualListener* listener = server(at).listener) listener->look_again();
}

std::size_t Network::connections(const net::Endpoint& at) const {
  const Server* known = find(at);
  if (known == nullptr) return 0;
  std::size_t open = 0;
  for (const std::weak_ptr<Connection>& connection : known->connections) {
    const std::shared_ptr<Connection> alive = connection.lock();
    if (alive && alive->is_open()) ++open;
  }
  return open;
}

std::size_t Network::connects(const net::Endpoint& at) const {
  const Server* known = find(at);
  return known == nullptr ? 0 : known->connects;
}

std::vector<std::shared_ptr<Connection>> Network::present(const net::Endpoint& at) {
  std::vector<std::shared_ptr<Connection>> alive;
  for (const std::weak_ptr<Connection>& known : server(at).connections) {
    std::shared_ptr<Connection> connection = known.lock();
    if (connection && connection->is_open()) alive.push_back(std::move(connection));
  }
  return alive;
}

const Network::Server* Network::find(const net::Endpoint& at) const {
  const auto exact = servers_.find(at);
  if (exact != servers_.end()) return &exact->second;
  for (const auto& [endpoint, known] : servers_) {
    const bool same_port = endpoint.port() == at.port() && endpoint.is_v6() == at.is_v6();
    if (same_port && endpoint.is_wildcard()) return &known;
  }
  return nullptr;
}

Network::Server& Network::server(const net::Endpoint& at) {
  const Server* known = find(at);
  return known != nullptr ? const_cast<Server&>(*known) : servers_[at];
}

}  // namespace drover::simnet
