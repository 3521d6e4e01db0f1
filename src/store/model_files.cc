#include "store/model_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/check.h"

namespace drover::store {
namespace {

Error wrong(const std::string& file, const std::string& what) {
  return {ErrorKind::kSystem, Origin::kSelf, Retry::kNever, file + ": " + what};
}

Error system_error(const std::string& file) {
  return wrong(file, std::generic_category().message(errno));
}

bool same_but_for_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// HOST, NAMESPACE, MODEL and TAG of a canonical name.
std::vector<std::string> parts_of(const ModelName& model) {
  const std::string& text = model.text();
  const std::size_t colon = text.rfind(':');
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < colon;) {
    const std::size_t end = std::min(text.find('/', at), colon);
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  if (parts.size() == 1) parts.insert(parts.begin(), "library");
  if (parts.size() == 2) parts.insert(parts.begin(), "registry.ollama.ai");
  parts.push_back(text.substr(colon + 1));
  return parts;
}

// The entry of this name, as it is written there; empty: there is none.
std::string entry_of(const std::string& directory, const std::string& name) {
  std::error_code error;
  for (auto at = std::filesystem::directory_iterator(directory, error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    std::string written = at->path().filename().string();
    if (same_but_for_case(written, name)) return written;
  }
  return {};
}

// Closed with the last one who reads it.
Result<BlobFile> open_file(const std::string& path, struct stat& info) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return system_error(path);
  BlobFile opened(file);
  if (::fstat(file, &info) != 0) return system_error(path);
  if (!S_ISREG(info.st_mode)) return wrong(path, "is no file");
  return opened;
}

}  // namespace

BlobFile::~BlobFile() {
  if (file_ >= 0) ::close(file_);
}

Result<std::size_t> BlobFile::read(std::uint64_t offset, std::span<char> room) const {
  std::size_t done = 0;
  while (done < room.size()) {
    const ssize_t count =
        ::pread(file_, room.data() + done, room.size() - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("a blob");
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

Result<std::string> ModelFiles::manifest(const ModelName& model) const {
  if (model.text().find(':') == std::string::npos)
    return wrong(directory_, "has no model without a name");
  std::string path = directory_ + "/manifests";
  for (const std::string& part : parts_of(model)) {
    const std::string entry = entry_of(path, part);
    if (entry.empty()) return wrong(path, "has nothing of " + model.text());
    path += '/' + entry;
  }
  struct stat info{};
  Result<BlobFile> file = open_file(path, info);
  if (!file) return std::move(file).error();
  if (static_cast<std::uint64_t>(info.st_size) > kMaxManifest) return wrong(path, "is too large");
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  Result<std::size_t> read = file->read(0, text);
  if (!read) return std::move(read).error();
  text.resize(*read);
  return text;
}

Result<BlobFile> ModelFiles::open(std::string_view digest, std::uint64_t bytes) const {
  constexpr std::string_view kPrefix = "sha256:";
  DROVER_ASSERT(digest.starts_with(kPrefix));
  const std::string path =
      directory_ + "/blobs/sha256-" + std::string(digest.substr(kPrefix.size()));
  struct stat info{};
  Result<BlobFile> file = open_file(path, info);
  if (file && static_cast<std::uint64_t>(info.st_size) != bytes) {
    return wrong(path, "has not the size that its manifest says");
  }
  return file;
}

}  // namespace drover::store
