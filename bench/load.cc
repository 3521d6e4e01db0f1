#include "load.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "answer.h"
#include "histogram.h"

namespace drover::bench {
namespace {

constexpr std::uint64_t kPatienceNs = 20 * kSecond;  // for the slowest proxy to open and answer
constexpr std::uint64_t kSettleNs = kSecond / 4;     // before memory is read
constexpr std::uint64_t kMaxWrong = 100;             // then it is no use to go on

std::string request_text(const Question& question) {
  const std::string body = body_of(question);
  return fmt::format(
             "POST /api/generate HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\n"
             "Accept: application/x-ndjson\r\nContent-Type: application/json\r\n"
             "Content-Length: {}\r\n\r\n",
             body.size()) +
         body;
}

// Counters at one moment.
struct Reading {
  std::uint64_t at = 0;
  CpuTime proxy;
  CpuTime tools;
  CoreTime cores;
};

struct Connection {
  Fd fd;
  AnswerReader reader;
  std::uint64_t asked_at = 0;
  std::size_t written = 0;  // of the request
  bool waits_to_write = false;
  bool settled = false;  // HoldLoad: it has what it was opened for
};

class Load {
 public:
  explicit Load(const LoadPlan& plan)
      : plan_(plan), request_(request_text(plan.question)), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (plan_.proxy != 0) proxy_ = process_tree(plan_.proxy);
  }

  LoadReport run(const LoopLoad& how) {
    repeat_ = true;
    open(how.connections, how.opening_ns);
    // A look at all processes takes a while, in which answers wait; so it comes early.
    const std::vector<pid_t> ours = our_processes();
    const OthersTime others_before = others_time(ours);
    go_on_until(now_ns() + how.warm_up_ns);
    latencies_.clear();
    report_.answers = report_.records = 0;
    const Reading before = read();
    go_on_until(before.at + how.measured_ns);
    const Reading after = read();
    report_.seconds = static_cast<double>(after.at - before.at) / kSecond;
    report_.proxy_ns = static_cast<double>(after.proxy.ns - before.proxy.ns);
    report_.proxy_user_ticks =
        static_cast<double>(after.proxy.user_ticks - before.proxy.user_ticks);
    report_.proxy_kernel_ticks =
        static_cast<double>(after.proxy.kernel_ticks - before.proxy.kernel_ticks);
    report_.tools_ns = static_cast<double>(after.tools.ns - before.tools.ns);
    const std::uint64_t stolen = after.cores.stolen_ns - before.cores.stolen_ns;
    const double by_processes =
        static_cast<double>(grown(others_before, others_time(ours)) + stolen);
    const double by_cores = static_cast<double>(after.cores.busy_ns - before.cores.busy_ns) -
                            report_.proxy_ns - report_.tools_ns;
    // Each is too much: the one counts what others do on other cores, the other the interrupts that
    // we cause ourselves. The smaller is nearer.
    report_.foreign_ns = std::max(0.0, std::min(by_processes, by_cores));
    return finish();
  }

  LoadReport run(const HoldLoad& how) {
    const Memory empty = resident(proxy_);
    report_.memory_empty = static_cast<double>(empty.all_bytes);
    report_.memory_largest = static_cast<double>(empty.largest_bytes);
    held_records_ = how.records;
    report_.held_few = how.few;
    report_.held_many = how.many;
    report_.memory_few = hold(how.few, how.opening_ns);
    report_.memory_many = hold(how.many, how.opening_ns);
    return finish();
  }

 private:
  Reading read() const {
    Reading reading;
    if (plan_.proxy != 0) reading.proxy = cpu_time(proxy_);
    reading.tools = cpu_time({plan_.backend, ::getpid()});
    reading.at = now_ns();
    reading.cores = core_time(plan_.cores, reading.at);
    return reading;
  }

  std::vector<pid_t> our_processes() const {
    std::vector<pid_t> ours = proxy_;
    ours.insert(ours.end(), {plan_.backend, ::getpid(), ::getppid()});
    return ours;
  }

  LoadReport finish() {
    report_.p50_ns = latencies_.quantile(0.50);
    report_.p90_ns = latencies_.quantile(0.90);
    report_.p99_ns = latencies_.quantile(0.99);
    report_.p999_ns = latencies_.quantile(0.999);
    return report_;
  }

  double hold(std::uint32_t count, std::uint64_t opening_ns) {
    open(count, opening_ns);
    const std::uint64_t deadline = now_ns() + kPatienceNs;
    while (settled_ < connections_.size() && now_ns() < deadline && report_.wrong == 0) {
      turn(deadline);
    }
    if (settled_ < connections_.size()) wrong("no answer in time", "");
    go_on_until(now_ns() + kSettleNs);
    return static_cast<double>(resident(proxy_).all_bytes);
  }

  // Until there are so many.
  void open(std::uint32_t count, std::uint64_t opening_ns) {
    std::uint64_t due = now_ns();
    while (connections_.size() < count && report_.wrong == 0) {
      connections_.push_back(std::make_unique<Connection>());
      connect(static_cast<std::uint32_t>(connections_.size() - 1));
      due += opening_ns;
      go_on_until(due);
    }
  }

  void connect(std::uint32_t index) {
    Connection& connection = *connections_[index];
    connection.fd = connect_loopback(plan_.port);
    connection.waits_to_write = false;
    if (!connection.fd.valid()) return wrong("connection refused", "");
    watch(epoll_, EPOLL_CTL_ADD, connection.fd.get(), EPOLLIN, index);
    ask(index);
  }

  void go_on_until(std::uint64_t deadline) {
    do {
      turn(deadline);
    } while (now_ns() < deadline && report_.wrong < kMaxWrong);
  }

  void turn(std::uint64_t deadline) {
    for (const epoll_event& event : wait_events(epoll_, events_, deadline)) {
      if ((event.events & EPOLLOUT) != 0) write(event.data.u32);
      if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive(event.data.u32);
    }
  }

  void ask(std::uint32_t index) {
    Connection& connection = *connections_[index];
    connection.reader.expect(plan_.question.answer);
    connection.written = 0;
    connection.asked_at = now_ns();
    write(index);
  }

  void write(std::uint32_t index) {
    Connection& connection = *connections_[index];
    const ssize_t count = ::send(connection.fd.get(), request_.data() + connection.written,
                                 request_.size() - connection.written, MSG_NOSIGNAL);
    // A connection that failed is told of by its next receive.
    if (count > 0) connection.written += static_cast<std::size_t>(count);
    const bool wait = connection.written < request_.size();
    if (wait == connection.waits_to_write) return;
    connection.waits_to_write = wait;
    const std::uint32_t events = wait ? EPOLLIN | EPOLLOUT : EPOLLIN;
    watch(epoll_, EPOLL_CTL_MOD, connection.fd.get(), events, index);
  }

  void receive(std::uint32_t index) {
    Connection& connection = *connections_[index];
    const ssize_t count = ::recv(connection.fd.get(), scratch_.data(), scratch_.size(), 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return start_over(index, "the connection was closed in the middle");
    const std::uint64_t now = now_ns();
    const std::uint32_t before = connection.reader.records();
    const auto state =
        connection.reader.feed({scratch_.data(), static_cast<std::size_t>(count)}, now, latencies_);
    report_.records += connection.reader.records() - before;
    if (state == AnswerReader::State::kBad) return start_over(index, connection.reader.problem());
    const bool whole = state == AnswerReader::State::kWhole;
    if (!repeat_) settle(connection, whole);
    if (whole) answered(index, now);
  }

  void settle(Connection& connection, bool whole) {
    const bool stream = plan_.question.answer == Answer::kStream;
    const bool has = whole || (stream && connection.reader.records() >= held_records_);
    if (has && !connection.settled) ++settled_;
    connection.settled = connection.settled || has;
  }

  void answered(std::uint32_t index, std::uint64_t now) {
    Connection& connection = *connections_[index];
    if (connection.written < request_.size()) {
      return start_over(index, "answered before the request was sent");
    }
    ++report_.answers;
    if (plan_.question.answer == Answer::kDocument) latencies_.add(now - connection.asked_at);
    if (connection.reader.wants_close()) return start_over(index, "the proxy closes a connection");
    if (repeat_) ask(index);
  }

  void start_over(std::uint32_t index, const std::string& problem) {
    wrong(problem, fmt::format(" (connection {})", index));
    if (report_.wrong < kMaxWrong) connect(index);
  }

  void wrong(const std::string& what, const std::string& where) {
    if (report_.wrong++ == 0) {
      const std::string text = what + where;
      text.copy(report_.problem, sizeof(report_.problem) - 1);
    }
  }

  const LoadPlan& plan_;
  std::string request_;
  Fd epoll_;
  std::vector<pid_t> proxy_;
  bool repeat_ = false;
  std::array<epoll_event, 512> events_{};
  std::array<char, 64 * 1024> scratch_{};
  std::vector<std::unique_ptr<Connection>> connections_;
  std::size_t settled_ = 0;
  std::uint32_t held_records_ = 0;
  Histogram latencies_;
  LoadReport report_;
};

}  // namespace

LoadReport run_load(const LoadPlan& plan) {
  auto load = std::make_unique<Load>(plan);  // on the heap, for its buffers
  return std::visit([&](const auto& how) { return load->run(how); }, plan.how);
}

}  // namespace drover::bench
