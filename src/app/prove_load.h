#pragma once
// A load that keeps a place busy: so many clients, each of whom asks its next question as soon as
// it has its answer. What arrives within a window of time is counted, so that neither the start
// nor the end, when not everybody is at work, is part of the result.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "app/generate_client.h"
#include "base/time.h"
#include "net/loop.h"

namespace drover::app {

struct LoadSettings {
  net::Endpoint to;
  std::string host;
  std::string model;
  unsigned clients = 4;
  unsigned tokens = 64;  // of an answer, at most
  Duration settle{};     // before the window, until everybody is at work
  Duration window{};
};

struct LoadResult {
  double seconds = 0;  // the window, as it was
  double tokens_per_second = 0;
  std::map<std::string, double> by_instance;  // the same, by X-Drover-Backend
  std::vector<Duration> first_token;          // sorted
  std::uint64_t answers = 0;                  // that became complete in the window
  std::uint64_t failures = 0;                 // during the whole load
  std::string last_failure;

  // The first token's time of the given share of the answers; zero without any.
  Duration first_token_at(double share) const;
};

class Load {
 public:
  // The loop outlives it. One run() each.
  Load(net::Loop& loop, LoadSettings settings);

  net::Task<LoadResult> run();
  bool measuring() const { return measuring_; }

 private:
  net::Task<void> client(unsigned number);
  void note_piece(const Generated& so_far);
  void note_end(const Generated& answer);
  LoadResult finish(Duration window);

  net::Loop& loop_;
  LoadSettings settings_;
  net::Cancel over_;
  net::Event idle_;
  unsigned running_ = 0;
  bool measuring_ = false;
  std::map<std::string, std::uint64_t> pieces_;  // in the window, by instance
  // Of whole answers, to learn how many tokens a piece stands for.
  std::uint64_t whole_pieces_ = 0;
  std::uint64_t whole_tokens_ = 0;
  LoadResult result_;
};

}  // namespace drover::app
