#pragma once
// What went wrong, whose fault it was, and whether trying again is safe. Whoever creates an Error
// knows best whether a retry is safe, so it is decided there; the retry loop only reads it.

#include <cstdint>
#include <string>
#include <string_view>

namespace drover {

// One closed list. gateway/refusal.cc maps each kind to a status, a body and a metric label.
enum class ErrorKind : std::uint8_t {
  kMalformed,         // not HTTP as RFC 9112 wants it, or JSON that two readers could read two ways
  kTooLarge,          // body over its limit
  kHeadTooLarge,      // head or one field over its limit
  kTargetTooLong,     // request target over its limit
  kSlow,              // the client did not send in time
  kUnsupported,       // a transfer coding or method that is not implemented
  kHttpVersion,       // a version of HTTP other than 1.0 and 1.1
  kMediaType,         // a content coding that cannot be read
  kExpectation,       // an Expect value other than 100-continue
  kMisdirected,       // a Host that is not ours
  kForbidden,         // an Origin or scope that is not allowed
  kNotFound,          // no such path
  kMethodNotAllowed,  // the path exists, the method does not
  kNoSuchModel,       // every catalogue is known and none has it
  kUnavailable,       // not now: holders away, catalogue unknown, queue full
  kTooBig,            // the model fits into no GPU memory of this fleet
  kBusy,              // an instance said that it is full
  kUpstream,          // an instance failed before the first content byte, retries spent
  kTimeout,           // a deadline passed while waiting for an instance
  kRefused,           // connect refused: nobody listens there
  kClosed,            // the peer closed or reset the connection
  kCancelled,         // the one who waited is gone
  kResolve,           // a name has no address
  kSystem,            // an operating system call failed
  kConfig,            // the operator's input
};

enum class Origin : std::uint8_t { kClient, kInstance, kSelf };

enum class Retry : std::uint8_t {
  kNever,  // another try would fail the same way, or may repeat an effect
  kSafe,   // another instance may do better
};

struct [[nodiscard]] Error {
  ErrorKind kind = ErrorKind::kSystem;
  Origin origin = Origin::kSelf;
  Retry retry = Retry::kNever;
  std::string message;  // one sentence for a person; no prompt or answer text ever
};

// Lower-case words, stable: used as metric label and in logs.
std::string_view to_string(ErrorKind kind);
std::string_view to_string(Origin origin);

}  // namespace drover
