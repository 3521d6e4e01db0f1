#include "wire/sse.h"

namespace drover::wire {
namespace {

constexpr std::string_view kDataField = "data:";
constexpr std::string_view kNameField = "event:";

std::string_view without_space(std::string_view value) {
  if (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

bool starts_blank_line(std::string_view text) {
  return text.starts_with('\n') || text.starts_with("\r\n");
}

}  // namespace

bool SseReader::next(std::string_view& rest) {
  if (told_) begin_event();
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const bool ends = end != std::string_view::npos;
    std::string_view bytes = rest.substr(0, end);
    rest.remove_prefix(ends ? end + 1 : rest.size());
    if (ends && !in_line_) {
      if (bytes.ends_with('\r')) bytes.remove_suffix(1);
      told_ = whole_line(bytes, rest);
    } else {
      part(bytes);
      told_ = ends && end_line();
    }
    if (told_) return true;
  }
  return false;
}

void SseReader::begin_event() {
  told_ = false;
  record_.reset();
  head_over_ = false;
  data_lines_ = 0;
  name_.clear();
  head_.clear();
}

bool SseReader::whole_line(std::string_view line, std::string_view following) {
  if (line.starts_with(kDataField)) {
    const std::string_view value = without_space(line.substr(kDataField.size()));
    const bool alone = data_lines_ == 0 && starts_blank_line(following);
    begin_data();
    if (alone && is_dull(value)) {
      head_over_ = value.size() > kMaxHead;
      if (!head_over_) head_ = value;
    } else {
      data(value);
    }
    return false;
  }
  if (line.starts_with(kNameField)) {
    name_.clear();
    name_bytes(without_space(line.substr(kNameField.size())));
    return false;
  }
  in_line_ = true;
  line_bytes(line);
  return end_line();
}

// A line that is cut: its bytes as they come, less the \r that ends it.
void SseReader::part(std::string_view bytes) {
  if (bytes.empty()) return;
  in_line_ = true;
  if (held_return_) line_bytes("\r");
  held_return_ = bytes.ends_with('\r');
  if (held_return_) bytes.remove_suffix(1);
  line_bytes(bytes);
}

void SseReader::line_bytes(std::string_view bytes) {
  while (line_ == Line::kField && !bytes.empty()) {
    const char c = bytes.front();
    bytes.remove_prefix(1);
    if (!field_byte(c)) line_ = Line::kOther;
  }
  if (bytes.empty()) return;
  if (skip_space_) bytes = without_space(bytes);
  skip_space_ = false;
  if (line_ == Line::kData) data(bytes);
  if (line_ == Line::kName) name_bytes(bytes);
}

// False when the line is of no interest.
bool SseReader::field_byte(char c) {
  field_ += c;
  if (!kDataField.starts_with(field_) && !kNameField.starts_with(field_)) return false;
  if (field_ == kDataField) {
    begin_data();
    line_ = Line::kData;
    skip_space_ = true;
  } else if (field_ == kNameField) {
    name_.clear();
    line_ = Line::kName;
    skip_space_ = true;
  }
  return true;
}

// True when this line ends an event that has data.
bool SseReader::end_line() {
  const bool blank = line_ == Line::kField && field_.empty();
  // A field without a colon has an empty value.
  if (line_ == Line::kField && field_ == "data") begin_data();
  if (line_ == Line::kField && field_ == "event") name_.clear();
  in_line_ = false;
  skip_space_ = false;
  held_return_ = false;
  line_ = Line::kField;
  field_.clear();
  if (!blank) return false;
  if (data_lines_ > 0) return true;
  begin_event();
  return false;
}

// Lines of data are joined by a newline.
void SseReader::begin_data() {
  if (++data_lines_ > 1) data("\n");
}

void SseReader::data(std::string_view bytes) {
  const std::size_t room = kMaxHead - head_.size();
  head_over_ = head_over_ || bytes.size() > room;
  head_.append(bytes.substr(0, room));
  if (record_ == nullptr) record_ = std::make_unique<RecordReader>();
  record_->feed(bytes);
}

void SseReader::name_bytes(std::string_view bytes) {
  name_.append(bytes.substr(0, kMaxName - name_.size()));
}

bool SseReader::is_dull(std::string_view data) const {
  return !event_matters(shape_, name_) && !may_matter(shape_, type_field(), data);
}

TypeField SseReader::type_field() const {
  const bool typed = shape_ == StreamShape::kResponses || shape_ == StreamShape::kAnthropic;
  return typed && name_.empty() ? TypeField::kCounts : TypeField::kIgnored;
}

std::string_view SseReader::name() const {
  const RecordFacts* const read = facts();
  const bool typed = read != nullptr && type_field() == TypeField::kCounts;
  return typed ? std::string_view(read->type) : std::string_view(name_);
}

bool SseReader::is_done_marker() const {
  if (head_over_) return false;
  const std::size_t end = head_.find_last_not_of(' ');
  return head_.substr(0, end == std::string::npos ? 0 : end + 1) == "[DONE]";
}

const RecordFacts* SseReader::facts() const {
  return record_ != nullptr && record_->closed() ? &record_->facts() : nullptr;
}

bool SseReader::at_boundary() const {
  const bool between = told_ || (data_lines_ == 0 && name_.empty());
  return between && !in_line_;
}

}  // namespace drover::wire
