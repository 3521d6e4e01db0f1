#include "wire/manifest.h"

#include <algorithm>

#include "wire/json_scanner.h"

namespace drover::wire {
namespace {

using Event = JsonScanner::Event;

constexpr std::uint32_t kOfConfig = 2;  // containers around its members
constexpr std::uint32_t kOfLayer = 3;

Error wrong(std::string what) {
  return {ErrorKind::kUpstream, Origin::kInstance, Retry::kNever,
          "the manifest " + std::move(what)};
}

bool is_sha256(std::string_view digest) {
  constexpr std::size_t kPrefix = 7;
  return digest.starts_with("sha256:") && digest.size() == kPrefix + 64 &&
         digest.find_first_not_of("0123456789abcdef", kPrefix) == std::string_view::npos;
}

}  // namespace

Result<std::vector<ManifestBlob>> read_manifest(std::string_view text) {
  JsonScanner scanner({.report_depth = kOfLayer, .max_text = 128});
  std::vector<ManifestBlob> blobs;
  ManifestBlob blob;
  std::string section;
  std::string key;
  Event event = Event::kMore;
  while ((event = scanner.next(text)) != Event::kMore && event != Event::kBad) {
    const std::uint32_t depth = scanner.depth();
    if (event == Event::kKey) (depth == 1 ? section : key) = scanner.text();
    const bool here =
        (section == "config" && depth == kOfConfig) || (section == "layers" && depth == kOfLayer);
    if (here && event == Event::kString && key == "digest") blob.digest = scanner.text();
    if (here && event == Event::kNumber && key == "size") blob.bytes = whole_number(scanner.text());
    // The end of an object is told from outside of it.
    const bool ends = (section == "config" && depth == kOfConfig - 1) ||
                      (section == "layers" && depth == kOfLayer - 1);
    if (!ends || event != Event::kEndObject) continue;
    if (!is_sha256(blob.digest)) return wrong("names a blob without a SHA-256");
    if (blobs.size() == kMaxManifestBlobs) return wrong("has too many blobs");
    if (std::ranges::find(blobs, blob.digest, &ManifestBlob::digest) == blobs.end()) {
      blobs.push_back(std::move(blob));
    }
    blob = {};
  }
  if (!scanner.complete()) return wrong("is no JSON document");
  if (blobs.empty()) return wrong("names no blobs");
  return blobs;
}

}  // namespace drover::wire
