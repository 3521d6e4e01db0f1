#pragma once
// The admin listener: liveness, readiness, metrics, status as JSON, and one plain page. GET and
// HEAD only; the same Host check as the clients' side, since a browser can reach it too.

#include <functional>
#include <memory>
#include <string>

#include "base/log.h"
#include "engine/engine.h"
#include "gateway/client.h"
#include "gateway/settings.h"

namespace drover::gateway {

// What the admin side shows; each is called on the home loop.
struct AdminViews {
  std::function<std::string()> metrics;  // Prometheus text
  std::function<std::string()> status;   // JSON
  std::function<std::string()> page;     // HTML
};

class Admin {
 public:
  Admin(net::Loop& home, engine::Engine& engine, const Settings& settings, AdminViews views);

  void serve(std::unique_ptr<net::Listener> listener);
  // /readyz says no from here on; the listener stays for as long as the process drains.
  void set_draining() { draining_ = true; }
  void stop();

 private:
  struct Page {
    int status = 200;
    std::string_view content_type;
    std::string body;
  };
  net::Task<void> accept_clients(std::unique_ptr<net::Listener> listener);
  net::Task<void> count_connection(std::unique_ptr<net::Stream> stream);
  net::Task<void> serve_connection(std::unique_ptr<net::Stream> stream);
  Page render(const wire::RequestHead& head) const;
  Page readiness() const;

  net::Loop& loop_;
  engine::Engine& engine_;
  const Settings& settings_;
  AdminViews views_;
  net::Cancel stop_;
  std::size_t open_ = 0;
  bool draining_ = false;
};

}  // namespace drover::gateway
