#pragma once
// CaresResolver: names over DNS (c-ares) on an EpollLoop, with a short cache in front. Address
// literals and "localhost" never leave the process.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/epoll_loop.h"
#include "net/link.h"
#include "net/resolver.h"

struct ares_addrinfo;
struct ares_channeldata;

namespace drover::net {

struct CaresOptions {
  std::vector<Endpoint> servers;                     // empty: as the system is configured
  Duration query_timeout = std::chrono::seconds(1);  // for one try; c-ares lets it grow
  int tries = 2;                                     // per server
  Duration longest_age = std::chrono::seconds(30);   // an answer is kept for its TTL, at most this
  Duration shortest_age = std::chrono::seconds(1);   // and at least this (hosts file, TTL 0)
  Duration retry_after = std::chrono::seconds(5);    // after a refresh failed
};

// Belongs to one loop, outlives every resolve() on it. A refresh that fails or takes too long gives
// the last good answer: a name server that is away must not take the instances with it.
class CaresResolver final : public Resolver {
 public:
  explicit CaresResolver(EpollLoop& loop, CaresOptions options = {});
  CaresResolver(const CaresResolver&) = delete;
  CaresResolver& operator=(const CaresResolver&) = delete;
  ~CaresResolver() override;

  Task<Result<std::vector<Endpoint>>> resolve(HostPort name, Instant deadline,
                                              Cancel* cancel) override;

 private:
  // A socket of c-ares.
  class Socket;
  // A coroutine that waits for a lookup.
  struct Waiting;
  // One name: what is known and whether somebody asks. Never erased, because a query under way
  // points to it; there are as many as names in the configuration.
  struct Lookup {
    CaresResolver* resolver = nullptr;
    std::vector<Endpoint> addresses;  // port 0; empty: none known
    Instant good_until{};
    std::string failure;  // of the last query
    bool under_way = false;
    Link waiting;  // ring of Waiting
  };

  static void on_socket_state(void* self, int fd, int readable, int writable);
  static void on_answer(void* lookup, int status, int timeouts, ares_addrinfo* answer);

  void set_up(const CaresOptions& options);
  void ask(const std::string& host, Lookup& lookup);
  void take_answer(Lookup& lookup, const ares_addrinfo& answer);
  void process(int readable_fd, int writable_fd);
  Task<void> watch_timeouts();

  EpollLoop& loop_;
  CaresOptions options_;
  ares_channeldata* channel_ = nullptr;
  std::string set_up_failure_;
  bool closing_ = false;
  std::unordered_map<int, std::unique_ptr<Socket>> sockets_;
  std::unordered_map<std::string, Lookup> lookups_;
  OwnedTask timeouts_;  // runs only while c-ares waits for something
};

}  // namespace drover::net
