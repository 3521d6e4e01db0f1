#include "net/cares_resolver.h"

#include <ares.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/time.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <optional>

namespace drover::net {
namespace {

using Endpoints = std::vector<Endpoint>;

Error resolve_error(ErrorKind kind, const std::string& host, std::string_view words) {
  const Retry retry = kind == ErrorKind::kCancelled ? Retry::kNever : Retry::kSafe;
  return {kind, Origin::kInstance, retry, fmt::format("resolve {}: {}", host, words)};
}

bool is_localhost(std::string_view host) {
  constexpr std::string_view kName = "localhost";
  return std::equal(host.begin(), host.end(), kName.begin(), kName.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == b;
  });
}

Endpoints with_port(Endpoints endpoints, std::uint16_t port) {
  for (Endpoint& endpoint : endpoints) endpoint = endpoint.with_port(port);
  return endpoints;
}

std::optional<Endpoints> without_asking(const HostPort& name) {
  if (const auto literal = Endpoint::from_literal(name.host, name.port)) return Endpoints{*literal};
  if (!is_localhost(name.host)) return std::nullopt;
  return Endpoints{*Endpoint::from_literal("127.0.0.1", name.port),
                   *Endpoint::from_literal("::1", name.port)};
}

ares_addr_port_node to_node(const Endpoint& server) {
  ares_addr_port_node node{};
  sockaddr_storage address;
  server.to_sockaddr(address);
  if (server.is_v6()) {
    node.family = AF_INET6;
    std::memcpy(&node.addr.addr6, &reinterpret_cast<const sockaddr_in6*>(&address)->sin6_addr, 16);
  } else {
    node.family = AF_INET;
    std::memcpy(&node.addr.addr4, &reinterpret_cast<const sockaddr_in*>(&address)->sin_addr, 4);
  }
  node.udp_port = node.tcp_port = server.port();
  return node;
}

int use_servers(ares_channel channel, const Endpoints& servers) {
  std::vector<ares_addr_port_node> nodes;
  for (const Endpoint& server : servers) nodes.push_back(to_node(server));
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) nodes[i].next = &nodes[i + 1];
  return ares_set_servers_ports(channel, nodes.data());
}

}  // namespace

class CaresResolver::Socket final : public EpollLoop::Watch {
 public:
  Socket(CaresResolver& resolver, int fd) : resolver_(resolver), fd_(fd) {}
  // c-ares may close the descriptor inside, and this object with it.
  void on_events(std::uint32_t events) override {
    const bool readable = (events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0;
    const bool writable = (events & EPOLLOUT) != 0;
    resolver_.process(readable ? fd_ : ARES_SOCKET_BAD, writable ? fd_ : ARES_SOCKET_BAD);
  }

 private:
  CaresResolver& resolver_;
  int fd_;
};

struct CaresResolver::Waiting : Link {
  explicit Waiting(Loop& loop) : done(loop) {}
  Event done;
};

CaresResolver::CaresResolver(EpollLoop& loop, CaresOptions options)
    : loop_(loop), options_(std::move(options)), timeouts_(loop) {
  set_up(options_);
}

CaresResolver::~CaresResolver() {
  closing_ = true;
  if (channel_ != nullptr) ares_destroy(channel_);
}

void CaresResolver::set_up(const CaresOptions& options) {
  ares_options cares{};
  cares.timeout =
      static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(options.query_timeout).count());
  cares.tries = options.tries;
  cares.sock_state_cb = &CaresResolver::on_socket_state;
  cares.sock_state_cb_data = this;
  int status = ares_init_options(&channel_, &cares,
                                 ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
  if (status != ARES_SUCCESS) {
    channel_ = nullptr;
  } else if (!options.servers.empty()) {
    status = use_servers(channel_, options.servers);
  }
  if (status != ARES_SUCCESS) set_up_failure_ = ares_strerror(status);
}

Task<Result<Endpoints>> CaresResolver::resolve(HostPort name, Instant deadline, Cancel* cancel) {
  std::optional<Endpoints> known = without_asking(name);
  if (known) co_return std::move(*known);
  if (!set_up_failure_.empty()) {
    co_return resolve_error(ErrorKind::kResolve, name.host, set_up_failure_);
  }
  Lookup& lookup = lookups_[name.host];
  if (!lookup.addresses.empty() && loop_.now() < lookup.good_until) {
    co_return with_port(lookup.addresses, name.port);
  }
  if (!lookup.under_way) ask(name.host, lookup);
  WaitResult waited = WaitResult::kReady;
  if (lookup.under_way) {  // the hosts file answers at once
    Waiting waiting(loop_);
    lookup.waiting.append(waiting);
    waited = co_await waiting.done.wait(deadline, cancel);
  }
  if (waited == WaitResult::kCancelled) {
    co_return resolve_error(ErrorKind::kCancelled, name.host, "cancelled");
  }
  if (!lookup.addresses.empty()) co_return with_port(lookup.addresses, name.port);
  if (waited == WaitResult::kTimedOut) {
    co_return resolve_error(ErrorKind::kTimeout, name.host, "timed out");
  }
  co_return resolve_error(ErrorKind::kResolve, name.host, lookup.failure);
}

void CaresResolver::ask(const std::string& host, Lookup& lookup) {
  lookup.resolver = this;
  lookup.under_way = true;
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  ares_getaddrinfo(channel_, host.c_str(), nullptr, &hints, &CaresResolver::on_answer, &lookup);
  if (lookup.under_way && !timeouts_.running()) timeouts_.start(watch_timeouts());
}

void CaresResolver::on_answer(void* arg, int status, int, ares_addrinfo* answer) {
  Lookup& lookup = *static_cast<Lookup*>(arg);
  CaresResolver& self = *lookup.resolver;
  const bool usable = status == ARES_SUCCESS && answer != nullptr && answer->nodes != nullptr;
  if (usable && !self.closing_) self.take_answer(lookup, *answer);
  if (answer != nullptr) ares_freeaddrinfo(answer);
  if (self.closing_) return;
  if (!usable) {
    lookup.failure = status == ARES_SUCCESS ? "no address" : ares_strerror(status);
    lookup.good_until = self.loop_.now() + self.options_.retry_after;
  }
  lookup.under_way = false;
  while (lookup.waiting.linked()) {
    auto& waiting = *static_cast<Waiting*>(lookup.waiting.front());
    waiting.unlink();
    waiting.done.set();
  }
}

void CaresResolver::take_answer(Lookup& lookup, const ares_addrinfo& answer) {
  Duration age = options_.longest_age;
  lookup.addresses.clear();
  for (const ares_addrinfo_node* node = answer.nodes; node != nullptr; node = node->ai_next) {
    age = std::min<Duration>(age, std::chrono::seconds(node->ai_ttl));
    lookup.addresses.push_back(Endpoint::from_sockaddr(node->ai_addr).with_port(0));
  }
  lookup.good_until = loop_.now() + std::max(age, options_.shortest_age);
}

void CaresResolver::process(int readable_fd, int writable_fd) {
  ares_process_fd(channel_, readable_fd, writable_fd);
}

Task<void> CaresResolver::watch_timeouts() {
  for (;;) {
    timeval left{};
    if (ares_timeout(channel_, nullptr, &left) == nullptr) co_return;
    // One more millisecond, because c-ares counts whole ones and would not find it due yet.
    const Duration wait = std::chrono::seconds(left.tv_sec) +
                          std::chrono::microseconds(left.tv_usec) + std::chrono::milliseconds(1);
    co_await loop_.sleep_for(wait);
    process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  }
}

// Level-triggered, because c-ares reads a TCP socket once a call.
void CaresResolver::on_socket_state(void* arg, int fd, int readable, int writable) {
  CaresResolver& self = *static_cast<CaresResolver*>(arg);
  const std::uint32_t events = (readable != 0 ? EPOLLIN : 0U) | (writable != 0 ? EPOLLOUT : 0U);
  if (events == 0) {
    self.loop_.unwatch(fd);
    self.sockets_.erase(fd);
    return;
  }
  std::unique_ptr<Socket>& socket = self.sockets_[fd];
  if (socket != nullptr) {
    self.loop_.rewatch(fd, events);
    return;
  }
  socket = std::make_unique<Socket>(self, fd);
  // Refused by the kernel: the query runs into its timeout.
  self.loop_.watch(fd, events, *socket);
}

}  // namespace drover::net
