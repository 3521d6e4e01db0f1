#pragma once
// What a service tells its manager (systemd's sd_notify protocol): one datagram of VAR=VALUE lines
// to the socket that $NOTIFY_SOCKET names. Started by hand there is no such socket, and every call
// does nothing: the callers need not know who started them.
//
// libsystemd is not used: the protocol is one sendto, and the library is a dependency with a
// history.

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace drover::net {

class Notifier {
 public:
  // From $NOTIFY_SOCKET and $WATCHDOG_USEC, $WATCHDOG_PID. Children must not speak in our name, so
  // the variables are taken out of the environment: call it once, before the first thread.
  static Notifier from_environment();

  // `socket`: an absolute path, or "@name" in the abstract namespace; empty: nobody listens. Other
  // texts are an Error.
  static Result<Notifier> to(std::string_view socket, std::optional<Duration> watchdog = {});

  Notifier() = default;  // nobody listens

  bool is_listened_to() const { return !address_.empty(); }
  // How often the manager wants to hear alive() at the latest; absent: it has no watchdog for us.
  std::optional<Duration> watchdog() const { return watchdog_; }

  // Each is sent whole or not at all, and never blocks. An Error is worth a line in the log and no
  // more: a manager that misses READY=1 or WATCHDOG=1 acts by itself.
  Result<void> ready(std::string_view status) const;  // served from here on
  Result<void> stopping() const;
  Result<void> alive() const;  // the watchdog's food
  // One line for `systemctl status`; line breaks would begin another variable and become blanks.
  Result<void> status(std::string_view text) const;

 private:
  Result<void> send(std::string_view message) const;

  std::string address_;  // as in sun_path: the abstract namespace begins with a zero byte
  std::optional<Duration> watchdog_;
};

}  // namespace drover::net
