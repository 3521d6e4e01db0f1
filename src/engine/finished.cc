#include "engine/finished.h"

#include <array>
#include <utility>

namespace drover::engine {
namespace {

std::array<std::string*, 6> texts_of(RequestRecord& record) {
  return {&record.id, &record.client, &record.model, &record.backend, &record.failure, &record.why};
}

// What they hold, not what they show: a text may have grown in steps.
std::size_t bytes_of(RequestRecord& record) {
  std::size_t bytes = 0;
  for (const std::string* text : texts_of(record)) bytes += text->capacity();
  return bytes;
}

// Between two characters.
void cut(std::string& text) {
  if (text.size() <= FinishedRequests::kLongestText) return;
  std::size_t end = FinishedRequests::kLongestText;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text = text.substr(0, end) + "…";
}

}  // namespace

void FinishedRequests::keep(RequestRecord&& record) {
  if (record.backend.empty() && record.outcome == Outcome::kServed) return;
  for (std::string* text : texts_of(record)) cut(*text);
  if (size_ == kMost) forget_oldest();
  RequestRecord& slot = ring_[(oldest_ + size_) % kMost];
  slot = std::move(record);
  bytes_ += bytes_of(slot);
  ++size_;
  // One alone always fits: its texts are cut.
  static_assert(6 * (kLongestText + 4) <= kMostBytes);
  while (bytes_ > kMostBytes) {
    RequestRecord& oldest = ring_[oldest_];
    forget_oldest();
    // An assignment would leave the slot its memory, which nobody counts any more.
    const RequestRecord freed(std::move(oldest));
  }
}

// Its slot is the caller's to overwrite or to empty.
void FinishedRequests::forget_oldest() {
  bytes_ -= bytes_of(ring_[oldest_]);
  oldest_ = (oldest_ + 1) % kMost;
  --size_;
}

const RequestRecord* FinishedRequests::find(std::string_view id) const {
  for (std::size_t newer = size_; newer > 0; --newer) {
    const RequestRecord& each = ring_[(oldest_ + newer - 1) % kMost];
    if (each.id == id) return &each;
  }
  return nullptr;
}

}  // namespace drover::engine
