#pragma once
// Health: is this instance fit to be given requests? One state machine per instance.
//
// Picture a doctor with two sources: a nurse who looks in every two seconds (checks), and the
// patients' own complaints (requests). The nurse's "nobody opens the door" is believed at once; one
// complaint is an accident, two in a row are an illness. Who was ill is given one visitor first.
//
//   Unknown ───any HTTP answer───▶ Up ◀───one request served─── Probation
//      │                           │                            │     ▲
//      │ refused, or               │ refused, or 2 failed       │     │ an HTTP answer,
//      │ 2 missed checks           │ requests, or 2 missed      │     │ and the wait is over
//      ▼                           │ checks, or /api/ps silent  ▼     │
//     Down ◀───────────────────────┴──────────────────────────── Down─┘
//
// The wait before Probation starts at 1 s. It doubles, to at most 60 s, only when a request in
// probation failed: such an instance answers checks and still cannot serve. An instance that nobody
// could reach proves by its next answer that it was started anew, so it waits for the minimum.
//
// A term is the time between two moments of going down. A request that was granted in an earlier
// term says nothing about the instance as it is, so its end is counted but not judged.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "base/time.h"
#include "core/fleet.h"
#include "core/settings.h"

namespace drover::core {

// Why an instance is down: it decides what brings it back and whether it may be a last resort.
enum class DownCause : std::uint8_t {
  kNone,
  kRequests,     // it answers, but requests failed
  kUnreachable,  // it refuses connections or misses checks
  kWedged,       // it answers, but not on /api/ps: only an answer there brings it back
  kHung,         // it answers, but computes nothing: only a canary or a new process brings it back
};

class Health {
 public:
  explicit Health(const Settings& settings) : rules_(settings), wait_(rules_.probation_wait_min) {}

  HealthState state() const { return state_; }
  DownCause cause() const { return cause_; }
  const std::string& reason() const { return reason_; }
  Instant since() const { return since_; }
  std::uint32_t term() const { return term_; }
  std::uint32_t failures() const { return failures_; }  // consecutive, of requests

  // --- what a check saw ---
  void heard(Instant now);            // any HTTP answer
  void heard_residency(Instant now);  // an answer of /api/ps
  void refused(std::string_view detail, Instant now);
  void missed(std::string_view detail, Instant now);
  void residency_missed(Instant now);

  // --- how a request ended; `term` is term() at its grant ---
  void request_served(std::uint32_t term, Instant now);
  void request_answered(std::uint32_t term);  // busy, or no such model: no illness
  void request_refused(std::uint32_t term, std::string_view detail, Instant now);
  void request_failed(std::uint32_t term, std::string_view detail, Instant now, Rng& rng);

  // --- what watching it showed ---
  void put_out(std::string_view reason, Instant now);  // as if requests had failed
  void hung(std::string_view reason, Instant now);
  void canary_served(Instant now);
  // Another process runs there, started on purpose. After an operator's restart nothing speaks
  // against it: its first answer makes it up. After a repair one request has to be served first.
  enum class Trust : std::uint8_t { kFull, kOneVisitor };
  void started_anew(Trust trust, Instant now);

  // The wait may be over. Due at next_change().
  void time_passed(Instant now);
  Instant next_change() const;
  // Earliest instant at which a request may be given to it, as far as known.
  Instant may_serve_at(Instant now) const;

 private:
  void go_down(DownCause cause, std::string_view reason, Duration wait, Instant now);
  void move(HealthState to, std::string_view reason, Instant now);
  Duration jittered(Duration wait, Rng& rng) const;

  Settings rules_;
  HealthState state_ = HealthState::kUnknown;
  DownCause cause_ = DownCause::kNone;
  std::string reason_ = "not heard of yet";
  Instant since_{};
  std::uint32_t term_ = 0;

  std::uint32_t failures_ = 0;
  std::uint32_t misses_ = 0;
  std::uint32_t residency_misses_ = 0;

  Duration wait_;         // before probation, without jitter
  Instant opens_at_{};    // not in probation before
  bool answers_ = false;  // while down: the latest check had an answer
};

}  // namespace drover::core
