#pragma once
// One attempt: a granted request goes to its instance, the answer comes back to the client. Reads
// upstream only as fast as the client takes.
//
// The fence: until the first content byte is handed to the client, any failure can be hidden by
// another attempt; from there on it can not, and a stream that breaks ends with an error record in
// the client's dialect, never with a terminal record.

#include <optional>
#include <string>

#include "core/events.h"
#include "engine/engine.h"
#include "gateway/client.h"
#include "gateway/exchange.h"
#include "gateway/settings.h"
#include "gateway/stream_copy.h"
#include "net/upstream_pool.h"
#include "wire/http_body.h"
#include "wire/stream_watch.h"

namespace drover::gateway {

// How an attempt ended.
struct Relayed {
  core::AttemptResult result = core::AttemptResult::kServed;
  std::string detail;      // one sentence when it failed
  bool answered = false;   // the client has its answer (or an error record): nothing more to send
  bool retryable = false;  // another attempt may do better and the client has seen nothing
  Usage usage;
  std::optional<Error> own;  // with kOwnFault: what the client is told
};

class Relay {
 public:
  Relay(net::UpstreamPool& pool, const Settings& settings, Client& client, Exchange& exchange,
        engine::Lease& lease, net::Cancel& cancel);

  net::Task<Relayed> run();

 private:
  // What is open towards the instance during one attempt.
  struct Upstream {
    net::UpstreamStream connection;
    std::string input;        // received, not yet consumed (head, then what came with it)
    wire::ResponseHead head;  // views into `head_text`
    std::string head_text;
    bool heard = false;           // at least one byte of an answer
    bool answered_early = false;  // the answer began before the request was sent whole
  };

  net::Task<Result<void>> connect(Upstream& up, net::UpstreamPool::Freshness freshness);
  net::Task<Result<void>> send_request(Upstream& up);
  net::Task<Result<void>> read_head(Upstream& up);
  net::Task<Result<void>> open(Upstream& up);
  net::Task<Result<bool>> wait_input(Upstream& up, Instant deadline);
  Duration longest_wait() const;

  net::Task<Relayed> relay_document(Upstream& up);
  net::Task<Relayed> relay_long_document(Upstream& up, wire::BodyDecoder& decoder,
                                         std::string begun);
  net::Task<Result<bool>> more_of(Upstream& up, wire::BodyDecoder& decoder);
  Relayed cut_document(const Error& error);

  // Why a stream is over, from the instance's side; `why` is one sentence.
  struct StreamEnd {
    core::AttemptResult how = core::AttemptResult::kDied;
    std::string why;
  };
  net::Task<Relayed> relay_stream(Upstream& up);
  net::Task<StreamEnd> copy_stream(Upstream& up, StreamCopy& copy);
  net::Task<bool> send_last(Upstream& up, StreamCopy& copy);
  net::Task<Relayed> end_complete(Upstream& up, StreamCopy& copy);
  void note_progress(const StreamCopy& copy);
  void cross_the_fence(const Upstream& up);
  StreamEnd called_off(net::WaitResult result) const;
  std::string without_final_record() const;
  // Whether the instance's own error record went to the client already.
  enum class RecordSent : std::uint8_t { kNo, kYes };
  net::Task<Relayed> end_broken(std::string detail, core::AttemptResult result,
                                RecordSent record_sent);
  net::Task<Result<void>> flush();
  Relayed failed(Error error) const;
  core::AttemptResult result_of(const Error& error) const;
  void give_back(Upstream& up, bool body_done);
  Answer answer_head(const Upstream& up) const;
  bool is_stream(const wire::ResponseHead& head) const;

  net::UpstreamPool& pool_;
  const Settings& settings_;
  Client& client_;
  Exchange& exchange_;
  engine::Lease& lease_;
  net::Cancel& cancel_;
  const Instance& instance_;
  net::Loop& loop_;
  std::string_view record_prefix_;  // ends the record that an error record would fall into
  std::string pending_;             // framed for the client, refused by its kernel buffer so far
  bool content_sent_ = false;
  Instant progress_told_{};  // when the lease last heard that the stream goes on
};

}  // namespace drover::gateway
