#pragma once
// One request and what became of it: the state that travels down the story in serve.cc.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ask.h"
#include "base/ids.h"
#include "engine/metrics.h"
#include "gateway/body_store.h"
#include "gateway/routes.h"
#include "gateway/settings.h"
#include "net/frame_memory.h"

namespace drover::gateway {

// What an instance is to be sent, perhaps more than once.
struct KeptRequest {
  KeptRequest(const Limits& limits, BodyRoom* room)
      : body(limits.spill_bytes, limits.spill_dir, room) {}

  // Every request has one for a short time, as it has frames of coroutines.
  static void* operator new(std::size_t bytes) { return net::allocate_frame(bytes); }
  static void operator delete(void* kept, std::size_t bytes) noexcept {
    net::release_frame(kept, bytes);
  }

  std::string target;          // canonical
  std::string forward_fields;  // complete lines, filtered
  std::string form_boundary;   // of a route that takes a form
  wire::OptionPlaces options;  // of a native request that generates
  BodyStore body;
};

struct Exchange {
  Exchange(const Limits& limits, Instant now, BodyRoom* room = nullptr)
      : arrived(now), body_room(room), kept(std::make_unique<KeptRequest>(limits, room)) {}

  Instant arrived;
  BodyRoom* body_room;  // null: without a bound
  RequestId id;
  std::string id_text;  // the client's own X-Request-ID when it is safe, else ours

  // From the head. Views into the client's buffer do not survive the body, so what is needed later
  // is copied here. Small ones side by side: thousands of these wait at once.
  const Route* route = nullptr;
  std::string answer_fields;  // complete lines for every answer to this request (id, CORS)
  std::uint64_t content_length = 0;
  wire::Method method = wire::Method::kOther;
  Dialect dialect = Dialect::kNative;
  wire::Framing framing = wire::Framing::kNone;
  bool expect_continue = false;
  bool zstd = false;          // its body is compressed
  bool explain = false;       // the client asked for the decision in a header
  bool body_unread = false;   // bytes of it may still be on their way
  bool empty_prompt = false;  // its JSON has nothing to answer: it loads, or unloads
  bool hides_usage = false;   // drover asked for the usage of the stream, not the client
  bool for_jobs = false;      // an order for the whole fleet, not for one instance
  bool malformed = false;     // its head or its framing is broken: it was no request at all

  std::uint32_t queue_position = 0;  // when it came; 0: it has not waited

  std::unique_ptr<KeptRequest> kept;  // null once the answer has begun: nobody needs it any more
  Ask ask;

  // What is counted and logged at the end.
  engine::RequestTally record;
  const Instance* instance = nullptr;    // the last one that it was given to
  std::string why;                       // the last decision
  std::unique_ptr<std::string> failure;  // the last of an instance, one sentence; null: none
};

}  // namespace drover::gateway
