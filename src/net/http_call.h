#pragma once
// One HTTP request of drover's own, on a fresh connection: sent as it comes, answered piece by
// piece. For checks and for what changes model stores; clients' inference goes through the pool.
//
// Usage:   HttpCall call(loop, cancel);
//          connect(resolver, address, deadline) → send(head and body, stall) → read_head(method,
//          deadline) → read_more(text, deadline) until it says false.
//
// Every function ends in kCancelled when `cancel` is triggered. Errors have origin kInstance, but
// for what this process is short of (kUnavailable, origin kSelf).

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "wire/http_body.h"
#include "wire/http_head.h"

namespace drover::net {

class HttpCall {
 public:
  // All outlive the call; `cancel` may be null.
  HttpCall(Loop& loop, Cancel* cancel) : loop_(loop), cancel_(cancel) {}

  // Every address of the name is tried in turn. Errors: kResolve, kRefused, kTimeout, kClosed.
  Task<Result<void>> connect(Resolver& resolver, HostPort address, Instant deadline);
  // The connection is there already. Once, in place of connect().
  void adopt(std::unique_ptr<Stream> stream) { stream_ = std::move(stream); }
  // Sends `bytes` to the last one. Errors: kTimeout after `stall` without progress, kClosed.
  Task<Result<void>> send(std::string_view bytes, Duration stall);
  // Waits for the head of the answer; up to eight interim ones are passed
  // over, and 101 is no answer. `request` says whether a
  // body can follow. Errors: kTimeout, kClosed, kUpstream (not HTTP).
  Task<Result<void>> read_head(wire::Method request, Instant deadline);
  // Appends what has arrived of the body, framing taken off. False: the body is over. Errors: the
  // same; kClosed also when the connection ended inside the body.
  Task<Result<bool>> read_more(std::string& into, Instant deadline);

  // Of the answer; 0 before its head was read.
  int status() const { return status_; }
  const std::string& content_type() const { return content_type_; }
  // Bytes of an answer, or its end, have arrived and were not read.
  bool has_input() const { return stream_ != nullptr && stream_->has_input(); }
  bool connected() const { return stream_ != nullptr; }

 private:
  Task<Result<bool>> receive(Instant deadline);
  Result<bool> take_head(wire::Method request);

  Loop& loop_;
  Cancel* cancel_;
  std::unique_ptr<Stream> stream_;
  wire::ResponseParser parser_;
  std::string input_;  // received and not yet decoded
  std::optional<wire::BodyDecoder> decoder_;
  std::string content_type_;
  int status_ = 0;
  int interim_ = 0;  // answers that were passed over
};

}  // namespace drover::net
