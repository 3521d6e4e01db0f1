#pragma once
// Who may speak to us by name and from which page: the defence against DNS rebinding and against
// web pages that use somebody's GPUs. The lists are Ollama's own, plus what is configured.

#include <string_view>

#include "base/result.h"
#include "gateway/routes.h"
#include "gateway/settings.h"

namespace drover::gateway {

// `authority` is the Host as parsed (no user part). Allowed: empty, localhost, this machine's name,
// *.localhost, *.local, *.internal (host.docker.internal among them), every loopback, private,
// link-local or unspecified address, and configured names. Error kMisdirected names the key to set.
Result<void> check_host(std::string_view authority, const AccessPolicy& policy);

// `origin` is the Origin field, empty when absent. Allowed: none; the same origin as `authority`;
// localhost, 127.0.0.1, 0.0.0.0 and [::1] on any port; app://, file://, tauri://,
// vscode-webview://, vscode-file://; configured ones. Error kForbidden.
Result<void> check_origin(std::string_view origin, std::string_view authority,
                          const AccessPolicy& policy);

// Who asks, as far as what he may do goes.
struct WhoAsks {
  net::Endpoint peer;
  bool local = true;  // through a loopback address
};
// Through a loopback address everybody may do what Ollama lets him do. Through any other address
// the stores are changed only from networks that are trusted. Error kForbidden says which line of
// the configuration would grant it.
Result<void> check_scope(Scope scope, const WhoAsks& asker, const AccessPolicy& policy);

// For what changes something on the admin side, where no key is asked for: a browser on this
// machine must not be made to do it by a page of somebody else. Allowed: programs (no Origin, no
// Sec-Fetch-Site), and drover's own pages. Not even other pages of this machine are, and no
// content type that a plain form can send, since old browsers send forms without an Origin.
struct Asker {
  std::string_view origin;      // each of these is empty when absent
  std::string_view fetch_site;  // Sec-Fetch-Site
  std::string_view content_type;
};
Result<void> check_own_page(const Asker& asker, std::string_view authority);

}  // namespace drover::gateway
