#include "probe/http_get.h"

#include <fmt/format.h>

#include "net/http_call.h"

namespace drover::probe {
namespace {

net::Task<Result<GetAnswer>> ask(net::Loop& loop, net::Resolver& resolver, net::HostPort address,
                                 std::string request, Instant deadline, net::Cancel* cancel,
                                 std::size_t most) {
  net::HttpCall call(loop, cancel);
  Result<void> done = co_await call.connect(resolver, std::move(address), deadline);
  if (done) done = co_await call.send(request, deadline - loop.now());
  if (done) done = co_await call.read_head(wire::Method::kGet, deadline);
  if (!done) co_return std::move(done).error();
  GetAnswer answer;
  answer.status = call.status();
  for (;;) {
    Result<bool> more = co_await call.read_more(answer.body, deadline);
    if (!more) co_return std::move(more).error();
    if (!*more) co_return answer;
    if (answer.body.size() > most) {
      co_return Error{ErrorKind::kUpstream, Origin::kInstance, Retry::kSafe,
                      "the answer is too long"};
    }
  }
}

}  // namespace

net::Task<Result<GetAnswer>> http_get(net::Loop& loop, net::Resolver& resolver,
                                      net::HostPort address, std::string path, Instant deadline,
                                      net::Cancel* cancel) {
  std::string request =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: drover\r\nConnection: close\r\n\r\n",
                  path, address.to_string());
  Result<GetAnswer> answer = co_await ask(loop, resolver, std::move(address), std::move(request),
                                          deadline, cancel, kMaxProbeBody);
  co_return answer;
}

net::Task<Result<GetAnswer>> http_post(net::Loop& loop, net::Resolver& resolver,
                                       net::HostPort address, std::string path, std::string body,
                                       Instant deadline, net::Cancel* cancel) {
  std::string request = fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: drover\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\nConnection: close\r\n\r\n{}",
      path, address.to_string(), body.size(), body);
  Result<GetAnswer> answer = co_await ask(loop, resolver, std::move(address), std::move(request),
                                          deadline, cancel, kMaxPostAnswer);
  co_return answer;
}

}  // namespace drover::probe
