#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "app/http_get.h"
#include "app/status_table.h"
#include "app/verbs.h"

namespace drover::app {
namespace {

constexpr char kStatus[] =
    R"({"policy":"least_loaded","version":"0.1.0","listen":["127.0.0.1:11434"],)"
    R"("uptime_seconds":7500.5,"instances":[)"
    R"({"name":"gpu0","url":"http://127.0.0.1:11440","health":"up","reason":"","in_flight":3,)"
    R"("awaiting_first":1,"served":120,"failed":2,"version":"0.9","models":["a","b"],)"
    R"("loaded":[{"name":"llama3:8b","bytes":1,"vram_bytes":1},{"name":"phi3","bytes":1,)"
    R"("vram_bytes":1}],"since_seconds":90},)"
    R"({"name":"größe","url":"http://b:1","health":"down","reason":"refused\u001b[2J",)"
    R"("in_flight":0,"awaiting_first":0,"served":0,"failed":9,"version":"","models":null,)"
    R"("loaded":null,"since_seconds":90000}]})";

config::Environment bare() {
  return [](std::string_view name) {
    return name == "XDG_CONFIG_HOME" ? std::optional<std::string>("/nonexistent") : std::nullopt;
  };
}

// A listening socket on a port of the kernel's choice.
class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() {
    close();
    if (child_ > 0) ::waitpid(child_, nullptr, 0);
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  // One connection is answered by a child process, which ends then.
  void answer(const std::string& bytes) {
    child_ = ::fork();
    if (child_ != 0) return;
    const int peer = ::accept(fd_, nullptr, nullptr);
    char request[4096];
    [[maybe_unused]] const ssize_t got = ::read(peer, request, sizeof request);
    [[maybe_unused]] const ssize_t sent = ::write(peer, bytes.data(), bytes.size());
    ::_exit(0);
  }

  config::HostPort address() const { return {"127.0.0.1", port_}; }
  std::string text() const { return address().to_string(); }

 private:
  int fd_;
  std::uint16_t port_ = 0;
  pid_t child_ = -1;
};

std::string ok(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
}

TEST(StatusTable, ShowsEachInstanceInALine) {
  const Result<std::string> table = status_table(kStatus);
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(*table,
            "drover 0.1.0 on 127.0.0.1:11434, policy least_loaded, up 2h 5m\n\n"
            "INSTANCE  STATE  SINCE  LOADED           IN FLIGHT  SERVED  FAILED  WHY\n"
            "gpu0      up     1m     llama3:8b, phi3  3          120     2       -\n"
            "größe     down   1d 1h  -                0          0       9       "
            "refused\\x1b[2J\n");
}

TEST(StatusTable, ToleratesWhatIsMissing) {
  EXPECT_EQ(*status_table(R"({"instances":[]})"),
            "drover - on -, policy -, up -\n\nNo instances.\n");
  const Result<std::string> table = status_table(R"({"instances":[{}, {"name":7}]})");
  EXPECT_TRUE(table.ok());
}

TEST(StatusTable, WhatIsNoStatusIsAnError) {
  for (const char* text : {"", "x", "[]", "{}", R"({"instances":3})", "Ollama is running"}) {
    EXPECT_FALSE(status_table(text).ok()) << text;
  }
}

TEST(Status, PrintsTheTableOfARunningDrover) {
  Listener listener;
  listener.answer(ok(kStatus));
  const cli::Printed said = run_status({.config = {.admin = listener.text()}}, bare());
  EXPECT_EQ(said.exit_code, cli::kDone) << said.err;
  EXPECT_NE(said.out.find("llama3:8b, phi3"), std::string::npos) << said.out;
}

TEST(Status, JsonIsTheBodyAsSent) {
  Listener listener;
  listener.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n");
  const cli::Printed said =
      run_status({.config = {.admin = listener.text()}, .output = cli::Output::kJson}, bare());
  EXPECT_EQ(said.exit_code, cli::kDone) << said.err;
  EXPECT_EQ(said.out, "{}\n");
}

TEST(Status, SaysHowToStartWhenNothingListens) {
  Listener listener;
  listener.close();
  const cli::Printed said = run_status({.config = {.admin = listener.text()}}, bare());
  EXPECT_EQ(said.exit_code, cli::kFailed);
  EXPECT_EQ(said.err, "drover: drover is not running on " + listener.text() +
                          " (connection refused). Start it with: drover serve\n");
}

TEST(Status, SomethingElseOnTheAddressIsNamed) {
  Listener listener;
  listener.answer(ok("Ollama is running"));
  const cli::Printed said = run_status({.config = {.admin = listener.text()}}, bare());
  EXPECT_EQ(said.exit_code, cli::kFailed);
  EXPECT_EQ(said.err, "drover: " + listener.text() +
                          " gave no status (the answer is no status of drover); is it drover's "
                          "admin address? Name another with --admin HOST:PORT\n");
}

TEST(Status, ABadAdminFlagIsToldByName) {
  const cli::Printed said = run_status({.config = {.admin = "nonsense"}}, bare());
  EXPECT_EQ(said.exit_code, cli::kFailed);
  EXPECT_EQ(said.err, "drover: --admin: 'nonsense' has no port; write nonsense:11436\n");
}

TEST(Status, ABrokenFileDoesNotHideARunningDrover) {
  Listener listener;
  listener.answer(ok(kStatus));
  const std::string path = testing::TempDir() + "status_broken.yaml";
  std::ofstream(path) << "polcy: x\nadmin: " << listener.text() << "\n";
  const cli::Printed said = run_status({.config = {.file = path}}, bare());
  EXPECT_EQ(said.exit_code, cli::kDone) << said.err;
  EXPECT_TRUE(said.err.starts_with("warning: ")) << said.err;
}

TEST(HttpGet, GivesUpOnSilenceAndOnBrokenAnswers) {
  Listener silent;
  const auto nothing = http_get(silent.address(), "/", std::chrono::milliseconds(50));
  ASSERT_FALSE(nothing.ok());
  EXPECT_EQ(nothing.error().kind, ErrorKind::kTimeout);

  Listener cut;
  cut.answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
  EXPECT_EQ(http_get(cut.address(), "/", std::chrono::seconds(20)).error().kind,
            ErrorKind::kClosed);

  Listener other;
  other.answer("SSH-2.0-x\r\n\r\n");
  EXPECT_EQ(http_get(other.address(), "/", std::chrono::seconds(20)).error().kind,
            ErrorKind::kUpstream);

  Listener empty;
  empty.answer("");
  EXPECT_EQ(http_get(empty.address(), "/", std::chrono::seconds(20)).error().kind,
            ErrorKind::kClosed);
}

}  // namespace
}  // namespace drover::app
