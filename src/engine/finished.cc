#include "engine/finished.h"

#include <string>

#include "base/put.h"

namespace drover::engine {
namespace {

constexpr std::string_view kCut = "…";

// As much of it as is kept: up to between two characters.
std::string_view beginning_of(std::string_view text) {
  if (text.size() <= FinishedRequests::kLongestText) return text;
  std::size_t end = FinishedRequests::kLongestText;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

void FinishedRequests::keep(const RequestRecord& record) {
  if (record.backend.empty() && record.outcome == Outcome::kServed) return;
  constexpr std::size_t kLongest = kTexts * (kLongestText + kCut.size());
  static_assert(kLongest <= kTextBytes / 2 && kLongestText + kCut.size() <= UINT16_MAX);
  if (size_ == kMost) {
    oldest_ = (oldest_ + 1) % kMost;
    --size_;
  }
  Kept& kept = ring_[(oldest_ + size_) % kMost];
  static_cast<RequestTally&>(kept) = record;
  kept.arrived = record.arrived;
  kept.total = record.total;
  // What might reach over the end begins at the front.
  const std::uint64_t left = kTextBytes - written_ % kTextBytes;
  if (left < kLongest) written_ += left;
  kept.begin = written_;
  const std::array<std::string_view, kTexts> texts = {record.id,      record.client,  record.model,
                                                      record.backend, record.failure, record.why};
  for (std::size_t i = 0; i < kTexts; ++i) put(texts[i], kept.sizes[i]);
  ++size_;
  // Whose texts were written over are gone.
  while (ring_[oldest_].begin + kTextBytes < written_) {
    oldest_ = (oldest_ + 1) % kMost;
    --size_;
  }
}

void FinishedRequests::put(std::string_view text, std::uint16_t& size) {
  char* const begin = texts_.data() + written_ % kTextBytes;
  char* end = drover::put(begin, beginning_of(text));
  if (text.size() > kLongestText) end = drover::put(end, kCut);
  size = static_cast<std::uint16_t>(end - begin);
  written_ += size;
}

std::string_view FinishedRequests::text(std::uint64_t begin, std::size_t size) const {
  return {texts_.data() + begin % kTextBytes, size};
}

std::optional<RequestRecord> FinishedRequests::find(std::string_view id) const {
  for (std::size_t newer = size_; newer > 0; --newer) {
    const Kept& kept = ring_[(oldest_ + newer - 1) % kMost];
    if (text(kept.begin, kept.sizes[0]) != id) continue;
    RequestRecord record;
    static_cast<RequestTally&>(record) = kept;
    record.arrived = kept.arrived;
    record.total = kept.total;
    std::uint64_t at = kept.begin;
    std::size_t i = 0;
    for (std::string* const each : {&record.id, &record.client, &record.model, &record.backend,
                                    &record.failure, &record.why}) {
      *each = text(at, kept.sizes[i]);
      at += kept.sizes[i++];
    }
    return record;
  }
  return std::nullopt;
}

}  // namespace drover::engine
