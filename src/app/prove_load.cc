#include "app/prove_load.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace drover::app {
namespace {

// Longer than any window: the end of the load ends an answer, not this.
constexpr Duration kAnswerPatience = std::chrono::hours(1);
// What fails at once must not be asked thousands of times a second.
constexpr Duration kAfterFailure = std::chrono::milliseconds(250);

// The number comes first, so that no answer is remembered from an earlier prompt.
std::string prompt(unsigned client, unsigned question) {
  return fmt::format("{}.{}: Explain at length why two GPUs answer more questions than one.",
                     client, question);
}

}  // namespace

Duration LoadResult::first_token_at(double share) const {
  if (first_token.empty()) return {};
  const double rank = std::ceil(share * static_cast<double>(first_token.size()));
  const auto index = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
  return first_token[std::min(index, first_token.size() - 1)];
}

Load::Load(net::Loop& loop, LoadSettings settings)
    : loop_(loop), settings_(std::move(settings)), idle_(loop) {}

net::Task<LoadResult> Load::run() {
  running_ = settings_.clients;
  for (unsigned number = 0; number < settings_.clients; ++number) loop_.spawn(client(number));
  co_await loop_.sleep_for(settings_.settle);
  const Instant opened = loop_.now();
  measuring_ = true;
  co_await loop_.sleep_for(settings_.window);
  measuring_ = false;
  const Duration window = loop_.now() - opened;
  over_.trigger(net::CancelReason::kShutdown);
  // Every wait of a client ends with `over_`, so this needs no deadline of its own.
  co_await idle_.wait(kNever);
  co_return finish(window);
}

net::Task<void> Load::client(unsigned number) {
  for (unsigned question = 0; !over_.triggered(); ++question) {
    GenerateAsk ask{settings_.to, settings_.host, settings_.model, prompt(number, question),
                    settings_.tokens};
    OnPiece on_piece = [this](const Generated& so_far, std::string_view) { note_piece(so_far); };
    const Generated answer = co_await generate(loop_, std::move(ask), loop_.now() + kAnswerPatience,
                                               &over_, std::move(on_piece));
    if (over_.triggered()) break;
    note_end(answer);
    if (!answer.complete) co_await loop_.sleep_for(kAfterFailure, &over_);
  }
  if (--running_ == 0) idle_.set();
}

void Load::note_piece(const Generated& so_far) {
  if (!measuring_) return;
  ++pieces_[so_far.instance];
  if (so_far.pieces == 1) result_.first_token.push_back(so_far.first_token);
}

void Load::note_end(const Generated& answer) {
  if (!answer.complete) {
    ++result_.failures;
    result_.last_failure = answer.error;
    return;
  }
  if (measuring_) ++result_.answers;
  if (answer.tokens == 0) return;
  whole_pieces_ += answer.pieces;
  whole_tokens_ += answer.tokens;
}

LoadResult Load::finish(Duration window) {
  result_.seconds = to_seconds(window);
  const double tokens_per_piece =
      whole_pieces_ == 0 ? 1.0
                         : static_cast<double>(whole_tokens_) / static_cast<double>(whole_pieces_);
  for (const auto& [instance, pieces] : pieces_) {
    const double rate = static_cast<double>(pieces) * tokens_per_piece / result_.seconds;
    result_.by_instance[instance] = rate;
    result_.tokens_per_second += rate;
  }
  std::ranges::sort(result_.first_token);
  return std::move(result_);
}

}  // namespace drover::app
