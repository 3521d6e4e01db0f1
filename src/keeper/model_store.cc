#include "keeper/model_store.h"

#include <fmt/format.h>
#include <pwd.h>
#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>

namespace drover::keeper {
namespace {

namespace fs = std::filesystem;

// More manifests than anybody has; a loop of links would have no end.
constexpr std::size_t kMostManifests = 100'000;
constexpr std::uintmax_t kLargestManifest = 1 << 20;

std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// --- unit files ---

// Words of an Environment= line: blanks separate, quotes hold together.
std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  char quote = 0;
  for (const char c : text) {
    if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == ' ' || c == '\t')) {
      if (!word.empty()) words.push_back(std::exchange(word, {}));
    } else {
      word += c;
    }
  }
  if (!word.empty()) words.push_back(word);
  return words;
}

void read_unit(const fs::path& path, OllamaService& service) {
  std::ifstream in(path);
  std::string line;
  while (std::getline(in, line)) {
    const std::string_view text =
        std::string_view(line).substr(std::min(line.find_first_not_of(" \t"), line.size()));
    if (text.starts_with("User=")) service.user = text.substr(5);
    if (!text.starts_with("Environment=")) continue;
    for (const std::string& word : split_words(text.substr(12))) {
      const std::size_t equals = word.find('=');
      if (equals == std::string::npos) continue;
      service.environment[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }
}

// --- stores ---

struct Account {
  std::string name;
  std::string home;
};

std::optional<Account> account(const std::string& name) {
  const passwd* entry = name.empty() ? ::getpwuid(::geteuid()) : ::getpwnam(name.c_str());
  if (entry == nullptr) return std::nullopt;
  return Account{entry->pw_name, entry->pw_dir};
}

std::string name_of(uid_t uid) {
  const passwd* entry = ::getpwuid(uid);
  return entry == nullptr ? std::string() : entry->pw_name;
}

std::uint64_t bytes_of(const fs::path& manifest) {
  std::error_code error;
  if (fs::file_size(manifest, error) > kLargestManifest || error) return 0;
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  if (parser.parse(simdjson::padded_string(text_of(manifest))).get(document) != simdjson::SUCCESS) {
    return 0;
  }
  std::uint64_t total = 0;
  simdjson::dom::array layers;
  if (document["layers"].get(layers) != simdjson::SUCCESS) return 0;
  for (const simdjson::dom::element layer : layers) {
    std::uint64_t size = 0;
    if (layer["size"].get(size) == simdjson::SUCCESS) total += size;
  }
  return total;
}

struct Candidate {
  std::string origin;
  std::string path;
  std::string user;  // whose it is meant to be
};

enum class Look : std::uint8_t { kAbsent, kUnreadable, kRead };

Look look_into(const std::string& root, const Candidate& candidate, ModelStore& store) {
  const fs::path manifests = fs::path(root + candidate.path) / "manifests";
  std::error_code error;
  // A home that may not be entered and one that is not there differ only in the error.
  const bool there = fs::exists(manifests, error);
  if (error == std::errc::permission_denied) return Look::kUnreadable;
  if (!there) return Look::kAbsent;
  fs::recursive_directory_iterator entry(manifests, error);
  if (error) return Look::kUnreadable;
  for (; entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (error) return Look::kUnreadable;
    if (!entry->is_regular_file(error)) continue;
    if (++store.models > kMostManifests) break;
    store.largest_bytes = std::max(store.largest_bytes, bytes_of(entry->path()));
  }
  return Look::kRead;
}

Error unreadable(const Candidate& candidate) {
  const std::string owner = candidate.user.empty() ? "its owner" : "user " + candidate.user;
  return {ErrorKind::kConfig, Origin::kSelf, Retry::kNever,
          fmt::format("the models of {} are in {}, which this user may not read; run drover as {} "
                      "or as root, or join its group: sudo usermod -aG {} $USER (then log in "
                      "again), or choose another store with ollama.models",
                      candidate.origin, candidate.path, owner,
                      candidate.user.empty() ? "GROUP" : candidate.user)};
}

std::vector<Candidate> candidates(const StoreQuery& query) {
  std::vector<Candidate> all;
  const auto variable = [&query](const char* name) {
    const auto found = query.environment.find(name);
    return found == query.environment.end() ? std::string() : found->second;
  };
  if (query.configured) {
    all.push_back({"ollama.models", *query.configured, ""});
    return all;
  }
  if (const std::string models = variable("OLLAMA_MODELS"); !models.empty()) {
    all.push_back({"OLLAMA_MODELS", models, ""});
    return all;
  }
  if (const auto service = read_ollama_service(query.root)) {
    const auto models = service->environment.find("OLLAMA_MODELS");
    const auto user = account(service->user.empty() ? "root" : service->user);
    // Ollama's installer gives its user this home; a user that is not there yet has it too.
    const std::string home = user ? user->home : "/usr/share/ollama";
    all.push_back({"ollama.service",
                   models == service->environment.end() ? home + "/.ollama/models" : models->second,
                   service->user});
  }
  std::string home = variable("HOME");
  if (home.empty()) {
    if (const auto self = account("")) home = self->home;
  }
  const std::string own = home + "/.ollama/models";
  if (all.empty() || all.front().path != own) all.push_back({"this user", own, ""});
  return all;
}

// Only root can become somebody else, and has to: files of root in a store of another user could
// not be replaced by an Ollama that runs as that user.
std::string user_for(const std::string& path) {
  struct stat info{};
  if (::geteuid() != 0 || ::stat(path.c_str(), &info) != 0 || info.st_uid == 0) return "";
  return name_of(info.st_uid);
}

}  // namespace

std::optional<OllamaService> read_ollama_service(const std::string& root) {
  // The first directory that has the unit wins, as systemd reads them; all drop-ins count.
  constexpr const char* kPlaces[] = {"/etc/systemd/system", "/run/systemd/system",
                                     "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
                                     "/lib/systemd/system"};
  OllamaService service;
  bool found = false;
  for (const char* place : kPlaces) {
    const fs::path unit = fs::path(root + place) / "ollama.service";
    std::error_code error;
    // A link to /dev/null is a masked unit.
    if (found || !fs::is_regular_file(unit, error)) continue;
    found = true;
    read_unit(unit, service);
  }
  if (!found) return std::nullopt;
  std::map<std::string, fs::path> drop_ins;  // by name: the first place wins, names give the order
  for (const char* place : kPlaces) {
    std::error_code error;
    for (const auto& entry :
         fs::directory_iterator(fs::path(root + place) / "ollama.service.d", error)) {
      if (entry.path().extension() == ".conf") {
        drop_ins.emplace(entry.path().filename().string(), entry.path());
      }
    }
  }
  for (const auto& [name, path] : drop_ins) read_unit(path, service);
  return service;
}

Result<ModelStore> find_model_store(const StoreQuery& query) {
  const std::vector<Candidate> all = candidates(query);
  std::optional<ModelStore> chosen;
  for (const Candidate& candidate : all) {
    ModelStore store;
    store.path = candidate.path;
    store.origin = candidate.origin;
    const Look look = look_into(query.root, candidate, store);
    if (look == Look::kUnreadable) return unreadable(candidate);
    if (chosen && chosen->models > 0) {
      if (store.models > 0) {
        chosen->notes.push_back(fmt::format(
            "{} more models are in {} ({}), which is not used; ollama.models chooses it",
            store.models, store.path, store.origin));
      }
      continue;
    }
    if (chosen && store.models == 0) continue;
    store.user = user_for(query.root + store.path);
    // A store that is still to be made belongs to the service, not to root.
    const bool others = look == Look::kAbsent && ::geteuid() == 0 && candidate.user != "root";
    if (others && store.user.empty() && !candidate.user.empty() && account(candidate.user)) {
      store.user = candidate.user;
    }
    chosen = std::move(store);
  }
  if (chosen->models == 0) {
    chosen->notes.push_back(
        fmt::format("no model is in {} ({}) yet; pull one: ollama pull "
                    "llama3.2",
                    chosen->path, chosen->origin));
  }
  return *std::move(chosen);
}

}  // namespace drover::keeper
