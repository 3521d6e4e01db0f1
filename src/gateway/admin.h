#pragma once
// The admin listener: liveness, readiness, metrics, status as JSON, one plain page, and what
// operators do to instances (admin_instances.h). The same Host check as the clients' side, since a
// browser can reach it too; whatever changes something is checked for its origin as well.

#include <functional>
#include <memory>
#include <string>

#include "base/log.h"
#include "engine/engine.h"
#include "gateway/admin_instances.h"
#include "gateway/client.h"
#include "gateway/settings.h"

namespace drover::gateway {

// What the admin side shows; each is called on the home loop.
struct AdminViews {
  std::function<std::string()> metrics;  // Prometheus text
  std::function<std::string()> status;   // JSON
  std::function<std::string()> page;     // HTML
  std::function<std::string()> models;   // JSON: what is wanted, and what there is
};

class Admin {
 public:
  Admin(net::Loop& home, engine::Engine& engine, const Settings& settings, AdminViews views);

  void serve(std::unique_ptr<net::Listener> listener);
  // /readyz says no from here on; the listener stays for as long as the process drains.
  void set_draining() { draining_ = true; }
  void stop();

 private:
  net::Task<void> accept_clients(std::unique_ptr<net::Listener> listener);
  net::Task<void> count_connection(std::unique_ptr<net::Stream> stream);
  net::Task<void> serve_connection(std::unique_ptr<net::Stream> stream);
  AdminPage render(const wire::RequestHead& head) const;
  AdminPage readiness() const;

  net::Loop& loop_;
  engine::Engine& engine_;
  const Settings& settings_;
  AdminViews views_;
  net::Cancel stop_;
  std::size_t open_ = 0;
  bool draining_ = false;
};

}  // namespace drover::gateway
