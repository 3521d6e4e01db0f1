// Rules about several keys at once, for the values that won.

#include <fmt/format.h>
#include <algorithm>

#include "config/address.h"
#include "config/draft.h"
#include "config/values.h"

namespace drover::config {
namespace {

// " (line 3)", " (--backend)", or nothing for a default: where the other one stands.
std::string elsewhere(const Spot& here, const Spot& other) {
  if (other.source.empty()) return "";
  if (other.source != here.source) {
    return other.place.line == 0 ? fmt::format(" ({})", other.source)
                                 : fmt::format(" ({}:{})", other.source, other.place.line);
  }
  return other.place.line == 0 ? "" : fmt::format(" (line {})", other.place.line);
}

bool share_port(const HostPort& a, const HostPort& b) {
  if (a.port == 0 || b.port == 0) return false;  // the kernel chooses a free one
  return same_place(a, b) || (a.port == b.port && (a.is_wildcard() || b.is_wildcard()));
}

void check_backends(Draft& draft) {
  const auto& all = draft.config.backends;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Spot& here = draft.backends_at[i];
    for (std::size_t j = 0; j < i; ++j) {
      const std::string other = elsewhere(here, draft.backends_at[j]);
      if (same_place(all[i].address, all[j].address)) {
        draft.refuse(here, fmt::format("{} is the same instance as '{}'{}; list it once",
                                       all[i].url, all[j].name, other));
        break;
      }
      if (all[i].name == all[j].name) {
        draft.refuse(here, fmt::format("two instances are named '{}'{}; give each its own name",
                                       all[i].name, other));
        break;
      }
    }
  }
}

void check_supervised(Draft& draft) {
  const auto& all = draft.config.ollama.instances;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Spot& here = draft.supervised_at[i];
    for (const Backend& backend : draft.config.backends) {
      if (all[i].name != backend.name) continue;
      draft.refuse(here, fmt::format("'{}' is also the name of {}; give each its own name",
                                     all[i].name, backend.url));
    }
    for (std::size_t j = 0; j < i; ++j) {
      const std::string other = elsewhere(here, draft.supervised_at[j]);
      if (!all[i].name.empty() && all[i].name == all[j].name) {
        draft.refuse(here, fmt::format("two instances are named '{}'{}; give each its own name",
                                       all[i].name, other));
      }
      if (all[i].port && all[i].port == all[j].port) {
        draft.refuse(here, fmt::format("two instances have port {}{}; give each its own port",
                                       *all[i].port, other));
      }
    }
  }
}

// Nobody said where drover listens, and an instance holds the usual place: drover moves beside it.
void yield_usual_address(Draft& draft) {
  constexpr std::uint16_t kPlaces[] = {11434, 11435, 11433};
  Config& config = draft.config;
  if (!draft.listen_at.front().source.empty()) return;
  for (const std::uint16_t port : kPlaces) {
    const HostPort place{"127.0.0.1", port};
    const auto held =
        std::find_if(config.backends.begin(), config.backends.end(),
                     [&place](const Backend& backend) { return reaches(place, backend.address); });
    if (held != config.backends.end()) continue;
    if (port == kPlaces[0]) return;
    config.listen = {place};
    draft.warn({}, fmt::format("an instance holds 127.0.0.1:{}, so drover listens on {}; 'listen' "
                               "chooses another address",
                               kPlaces[0], place.to_string()));
    return;
  }
}

// An instance that is drover itself would make every request go round until a limit ends it.
void check_loops(Draft& draft) {
  const Config& config = draft.config;
  for (std::size_t i = 0; i < config.backends.size(); ++i) {
    const Backend& backend = config.backends[i];
    const Spot& here = draft.backends_at[i];
    for (std::size_t j = 0; j < config.listen.size(); ++j) {
      if (!reaches(config.listen[j], backend.address)) continue;
      draft.refuse(here, fmt::format("{} is drover's own listen address {}{}, so requests would go "
                                     "round in circles; change one of the two",
                                     backend.url, config.listen[j].to_string(),
                                     elsewhere(here, draft.listen_at[j])));
      break;
    }
    if (reaches(config.admin, backend.address)) {
      draft.refuse(here, fmt::format("{} is drover's own admin address {}{}; change one of the two",
                                     backend.url, config.admin.to_string(),
                                     elsewhere(here, draft.where("admin"))));
    }
  }
}

void check_listeners(Draft& draft) {
  const Config& config = draft.config;
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    const Spot& here = draft.listen_at[i];
    for (std::size_t j = 0; j < i; ++j) {
      if (!share_port(config.listen[i], config.listen[j])) continue;
      draft.refuse(here, fmt::format("{} and {}{} cannot both be listened on; keep one",
                                     config.listen[i].to_string(), config.listen[j].to_string(),
                                     elsewhere(here, draft.listen_at[j])));
      break;
    }
    if (!share_port(config.listen[i], config.admin)) continue;
    const Spot admin = draft.where("admin");
    // Blame what was written; when both were, the admin address is the one to move.
    const bool blame_admin = !admin.source.empty();
    const Spot& blamed = blame_admin ? admin : here;
    const Spot& other = blame_admin ? here : admin;
    draft.refuse(blamed, fmt::format("clients ({}) and the admin side ({}) cannot share a port{}; "
                                     "give one of them another port",
                                     config.listen[i].to_string(), config.admin.to_string(),
                                     elsewhere(blamed, other)));
  }
}

void check_limits(Draft& draft) {
  const Limits& limits = draft.config.limits;
  if (limits.target_bytes < limits.head_bytes) return;
  Spot here = draft.where("limits.target_bytes");
  if (here.source.empty()) here = draft.where("limits.head_bytes");
  draft.refuse(here, fmt::format("'target_bytes' ({}) must be less than 'head_bytes' ({}), which "
                                 "holds the target and all fields",
                                 show_size(limits.target_bytes), show_size(limits.head_bytes)));
}

void warn_about_admin(Draft& draft) {
  const HostPort& admin = draft.config.admin;
  if (admin.is_loopback()) return;
  draft.warn(draft.where("admin"),
             fmt::format("the admin address {} can be reached from other machines and asks for no "
                         "key, so everybody there can look at this drover; 127.0.0.1:{} is safe",
                         admin.to_string(), admin.port));
}

}  // namespace

void check_together(Draft& draft) {
  draft.config.listen_is_default = draft.listen_at.front().source.empty();
  yield_usual_address(draft);
  check_backends(draft);
  check_supervised(draft);
  check_loops(draft);
  check_listeners(draft);
  check_limits(draft);
  warn_about_admin(draft);
}

}  // namespace drover::config
