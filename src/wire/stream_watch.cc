#include "wire/stream_watch.h"

#include "wire/answer_record.h"
#include "wire/record_filter.h"
#include "wire/sse.h"

namespace drover::wire {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

bool is_blank(std::string_view text) {
  return text.find_first_not_of(kSpace) == std::string_view::npos;
}

}  // namespace

// Thousands of streams wait at once, so what only some of them need is not part of this.
struct StreamWatch::State {
  explicit State(StreamShape given) : shape(given) {
    const bool lines = given == StreamShape::kNdjson || given == StreamShape::kNone;
    if (!lines) events = std::make_unique<SseReader>(given);
  }

  void feed_lines(std::string_view piece);
  void whole_line(std::string_view line);
  void line_part(std::string_view part);
  void line_facts(const RecordFacts& facts);
  void event();
  void fail(const std::string& text);
  auto& noted() {
    if (said == nullptr) said = std::make_unique<Said>();
    return *said;
  }

  StreamShape shape;
  bool terminal = false;
  bool failed = false;
  bool line_blank = true;
  std::uint64_t records = 0;
  struct Said {
    std::string error;
    Usage usage;
  };
  std::unique_ptr<Said> said;          // from the first record on that says something of the answer
  std::unique_ptr<RecordReader> line;  // native: while a line is half read
  std::unique_ptr<SseReader> events;   // the other shapes
};

StreamWatch::StreamWatch(StreamShape shape) : state_(std::make_unique<State>(shape)) {}
StreamWatch::~StreamWatch() = default;
StreamWatch::StreamWatch(StreamWatch&&) noexcept = default;
StreamWatch& StreamWatch::operator=(StreamWatch&&) noexcept = default;

std::uint64_t StreamWatch::records() const { return state_->records; }
bool StreamWatch::at_boundary() const {
  return state_->line == nullptr && (state_->events == nullptr || state_->events->at_boundary());
}
bool StreamWatch::terminal() const { return state_->terminal; }
bool StreamWatch::failed() const { return state_->failed; }
const std::string& StreamWatch::error() const {
  static const std::string none;
  return state_->said == nullptr ? none : state_->said->error;
}
Usage StreamWatch::usage() const { return state_->said == nullptr ? Usage{} : state_->said->usage; }

void StreamWatch::feed(std::string_view decoded) {
  switch (state_->shape) {
    case StreamShape::kNone:
      return;
    case StreamShape::kNdjson:
      return state_->feed_lines(decoded);
    default:
      while (state_->events->next(decoded)) state_->event();
      return;
  }
}

void StreamWatch::State::feed_lines(std::string_view piece) {
  while (!piece.empty()) {
    const std::size_t end = piece.find('\n');
    const bool ends = end != std::string_view::npos;
    const std::string_view bytes = piece.substr(0, end);
    piece.remove_prefix(ends ? end + 1 : piece.size());
    if (ends && line == nullptr) {
      whole_line(bytes);
      continue;
    }
    line_part(bytes);
    if (!ends) return;
    line.reset();
    if (!line_blank) ++records;
  }
}

void StreamWatch::State::whole_line(std::string_view text) {
  if (is_blank(text)) return;
  ++records;
  if (!may_matter(shape, TypeField::kIgnored, text)) return;
  RecordReader record;
  record.feed(text);
  if (record.closed()) line_facts(record.facts());
}

void StreamWatch::State::line_part(std::string_view part) {
  if (line == nullptr) {
    line = std::make_unique<RecordReader>();
    line_blank = true;
  }
  line_blank = line_blank && is_blank(part);
  if (line->closed()) return;
  line->feed(part);
  // An object ends by itself: some servers leave out the newline after the last one.
  if (line->closed()) line_facts(line->facts());
}

void StreamWatch::State::line_facts(const RecordFacts& facts) {
  if (facts.has_error) fail(error_text(facts));
  if (!facts.done) return;
  terminal = true;
  merge(noted().usage, facts.native);
}

void StreamWatch::State::event() {
  ++records;
  if (shape == StreamShape::kOpenAiSse && events->is_done_marker()) terminal = true;
  if (event_is_terminal(shape, events->name())) terminal = true;
  static const RecordFacts nothing;
  const RecordFacts* const read = events->facts();
  const bool error = read != nullptr && read->has_error;
  if (error || events->name() == "error") fail(error_text(read != nullptr ? *read : nothing));
  if (read != nullptr) merge(noted().usage, read->tokens);
}

void StreamWatch::State::fail(const std::string& text) {
  if (!failed) noted().error = text;
  failed = true;
}

}  // namespace drover::wire
