#pragma once
// Who may speak to us by name and from which page: the defence against DNS rebinding and against
// web pages that use somebody's GPUs. The lists are Ollama's own, plus what is configured.

#include <string_view>

#include "base/result.h"
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

}  // namespace drover::gateway
