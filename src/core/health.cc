#include "core/health.h"

#include <algorithm>

namespace drover::core {

// --- checks ---

void Health::heard(Instant now) {
  misses_ = 0;
  if (state_ == HealthState::kUnknown) return move(HealthState::kUp, "", now);
  if (state_ != HealthState::kDown) return;
  if (cause_ == DownCause::kWedged || cause_ == DownCause::kHung) return;
  answers_ = true;
  time_passed(now);
}

void Health::heard_residency(Instant now) {
  residency_misses_ = 0;
  if (cause_ == DownCause::kWedged) {
    answers_ = true;
    time_passed(now);
  }
  heard(now);
}

void Health::refused(std::string_view detail, Instant now) {
  misses_ = 0;
  if (state_ != HealthState::kDown) {
    return go_down(DownCause::kUnreachable, detail, rules_.probation_wait_min, now);
  }
  // Whatever put it out, nobody is at home there. The wait that was begun stands: restarting is not
  // a way around the wait that failed probations earned.
  cause_ = DownCause::kUnreachable;
  reason_ = detail;
  answers_ = false;
}

void Health::missed(std::string_view detail, Instant now) {
  ++misses_;
  answers_ = false;
  if (misses_ < rules_.failures_to_down) return;
  const std::string reason = "checks are not answered: " + std::string(detail);
  if (state_ != HealthState::kDown) {
    return go_down(DownCause::kUnreachable, reason, rules_.probation_wait_min, now);
  }
  if (cause_ == DownCause::kUnreachable) return;
  cause_ = DownCause::kUnreachable;
  reason_ = reason;
}

void Health::residency_missed(Instant now) {
  ++residency_misses_;
  if (state_ == HealthState::kDown) {
    if (cause_ == DownCause::kWedged) answers_ = false;
    return;
  }
  if (residency_misses_ <= rules_.residency_misses_forgiven) return;
  go_down(DownCause::kWedged, "/api/ps does not answer: wedged", rules_.probation_wait_min, now);
}

// --- requests ---

void Health::request_served(std::uint32_t term, Instant now) {
  if (term != term_) return;
  // Serving says nothing about /api/ps: loaded models may run on while its lock is held for ever.
  failures_ = misses_ = 0;
  if (state_ == HealthState::kUp) return;
  wait_ = rules_.probation_wait_min;
  move(HealthState::kUp, "", now);
}

void Health::request_answered(std::uint32_t term) {
  if (term == term_) misses_ = 0;
}

void Health::request_refused(std::uint32_t term, std::string_view detail, Instant now) {
  if (term == term_) refused(detail, now);
}

void Health::request_failed(std::uint32_t term, std::string_view detail, Instant now, Rng& rng) {
  if (term != term_) return;
  if (state_ == HealthState::kProbation) {
    wait_ = std::min(wait_ * 2, rules_.probation_wait_max);
    return go_down(DownCause::kRequests, "the request in probation failed: " + std::string(detail),
                   jittered(wait_, rng), now);
  }
  // Down: a last resort failed. It is let through once a second anyway, so the wait stands.
  if (state_ != HealthState::kUp || ++failures_ < rules_.failures_to_down) return;
  go_down(DownCause::kRequests, "requests fail: " + std::string(detail), jittered(wait_, rng), now);
}

// --- what watching it showed ---

void Health::put_out(std::string_view reason, Instant now) {
  go_down(DownCause::kRequests, reason, rules_.probation_wait_min, now);
}

void Health::hung(std::string_view reason, Instant now) {
  go_down(DownCause::kHung, reason, rules_.probation_wait_min, now);
}

void Health::canary_served(Instant now) {
  if (cause_ != DownCause::kHung) return;
  answers_ = true;
  time_passed(now);
}

void Health::started_anew(Trust trust, Instant now) {
  const std::string_view reason = "was started anew; has not answered yet";
  go_down(DownCause::kUnreachable, reason, rules_.probation_wait_min, now);
  if (trust == Trust::kFull) move(HealthState::kUnknown, reason, now);
}

// --- time ---

void Health::time_passed(Instant now) {
  if (next_change() > now) return;
  move(HealthState::kProbation, "answers again; the next request decides", now);
}

Instant Health::next_change() const {
  return state_ == HealthState::kDown && answers_ ? opens_at_ : kNever;
}

Instant Health::may_serve_at(Instant now) const {
  if (state_ == HealthState::kDown && answers_) return std::max(now, opens_at_);
  if (state_ == HealthState::kDown || state_ == HealthState::kUnknown) {
    return std::max(now + rules_.check_interval, opens_at_);
  }
  return now;
}

// --- moving ---

void Health::go_down(DownCause cause, std::string_view reason, Duration wait, Instant now) {
  ++term_;
  failures_ = misses_ = residency_misses_ = 0;
  answers_ = false;
  opens_at_ = now + wait;
  move(HealthState::kDown, reason, now);
  cause_ = cause;
}

void Health::move(HealthState to, std::string_view reason, Instant now) {
  state_ = to;
  cause_ = DownCause::kNone;
  reason_ = reason;
  since_ = now;
}

Duration Health::jittered(Duration wait, Rng& rng) const {
  const double extra = rules_.probation_jitter * rng.unit() * static_cast<double>(wait.count());
  return wait + Duration(static_cast<Duration::rep>(extra));
}

}  // namespace drover::core
