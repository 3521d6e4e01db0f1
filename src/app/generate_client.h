#pragma once
// One streamed answer of /api/generate as a client sees it, counted while it arrives. The demo and
// `drover prove` ask with it: drover itself, or one instance directly.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "net/endpoint.h"
#include "net/loop.h"
#include "net/task.h"

namespace drover::app {

struct GenerateAsk {
  net::Endpoint to;
  std::string host;  // for the Host field: the name that `to` was found by
  std::string model;
  std::string prompt;
  unsigned tokens = 1;  // at most so many
};

struct Generated {
  int status = 0;            // 0: no answer came
  std::string instance;      // X-Drover-Backend
  std::string why;           // X-Drover-Why
  std::uint64_t pieces = 0;  // records with text (or thought), usually a token each
  std::uint64_t tokens = 0;  // as the final record counts them; 0: it did not come
  std::string error;         // of an error record or body, or why there was no whole answer
  bool complete = false;     // with its terminal record
  Duration first_token{};    // from the question to the first piece
};

// Called for each piece, with what is known of the answer by then.
using OnPiece = std::function<void(const Generated& so_far, std::string_view text)>;

// On a connection of its own. Never fails otherwise than in `error`.
net::Task<Generated> generate(net::Loop& loop, GenerateAsk ask, Instant deadline,
                              net::Cancel* cancel, OnPiece on_piece);

}  // namespace drover::app
