#pragma once
// Which directory of models do supervised instances use? The one that the user already pulled
// into. An installed ollama.service keeps its models under its own user, `ollama serve` by hand
// under somebody else's; whoever starts another instance carelessly gets a third, empty one, and
// wonders where 200 GB went.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace drover::keeper {

struct StoreQuery {
  std::optional<std::string> configured;           // ollama.models
  std::map<std::string, std::string> environment;  // OLLAMA_MODELS, HOME
  std::string root;                                // before every path; for tests
};

struct ModelStore {
  std::string path;        // of the directory that holds blobs/ and manifests/
  std::string origin;      // "ollama.models", "OLLAMA_MODELS", "ollama.service", "this user"
  std::string user;        // whom the instances run as to write there; empty: as drover runs
  std::size_t models = 0;  // manifests
  std::uint64_t largest_bytes = 0;  // of one model: the sum of its layers
  std::vector<std::string> notes;   // sentences for people: what else was found, what is empty
};

// Errors (kConfig): a store that is there and cannot be read, with the remedy. An empty store is
// no error, but it is said.
Result<ModelStore> find_model_store(const StoreQuery& query);

// What an installed ollama.service says about itself, its drop-ins included.
struct OllamaService {
  std::string user;                                // empty: root
  std::map<std::string, std::string> environment;  // of Environment= lines
};
std::optional<OllamaService> read_ollama_service(const std::string& root);

}  // namespace drover::keeper
