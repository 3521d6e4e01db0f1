#pragma once
// One attempt: a granted request goes to its instance, the answer comes back to the client. Reads
// upstream only as fast as the client takes.
//
// The fence: until the first content byte is handed to the client, any failure can be hidden by
// another attempt; from there on it can not, and a stream that breaks ends with an error record in
// the client's dialect, never with a terminal record.

#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "core/events.h"
#include "engine/engine.h"
#include "gateway/client.h"
#include "gateway/exchange.h"
#include "gateway/settings.h"
#include "gateway/stream_copy.h"
#include "net/upstream_pool.h"
#include "wire/document.h"
#include "wire/http_body.h"

namespace drover::gateway {

// How an attempt ended.
struct Relayed {
  core::AttemptResult result = core::AttemptResult::kServed;
  bool answered = false;   // the client has its answer (or an error record): nothing more to send
  bool retryable = false;  // another attempt may do better and the client has seen nothing
  std::string detail;      // one sentence when it failed
  std::unique_ptr<Error> own;  // with kOwnFault: what the client is told
};

class Relay {
 public:
  // What all relays of a loop share.
  struct Means {
    net::UpstreamPool& pool;
    wire::ResponseHead& head;  // of the answer being read: valid until the next co_await
    const Settings& settings;
  };

  Relay(const Means& means, Client& client, Exchange& exchange, engine::Lease& lease,
        net::Cancel& cancel, Relayed& outcome);

  // To its end; then the outcome is written, and what it cost is in the exchange's record.
  net::Task<void> run();

 private:
  // The type of an answer. Nearly all have one of a few, which need no memory.
  class ContentType {
   public:
    void set(std::string_view text) {
      const auto* const found = std::find(kUsual.begin(), kUsual.end(), text);
      usual_ = static_cast<std::uint8_t>(found - kUsual.begin());
      if (found == kUsual.end()) other_ = std::make_unique<std::string>(text);
    }
    std::string_view text() const {
      if (usual_ < kUsual.size()) return kUsual[usual_];
      return other_ == nullptr ? std::string_view() : *other_;
    }
    void release() { other_.reset(); }

   private:
    static constexpr std::array<std::string_view, 5> kUsual = {
        "application/json; charset=utf-8", "application/json", "application/x-ndjson",
        "text/event-stream", "text/event-stream; charset=utf-8"};
    std::uint8_t usual_ = kUsual.size();
    std::unique_ptr<std::string> other_;  // null, unless it is another one
  };
  // Of the instance's head only this matters: its other fields are not for the client.
  struct AnswerHead {
    int status = 0;
    wire::Framing framing = wire::Framing::kNone;
    bool keep_alive = true;
    std::uint64_t content_length = 0;
    ContentType content_type;
  };
  // What is open towards the instance during one attempt.
  struct Upstream {
    std::unique_ptr<net::Stream> stream;
    std::string input;  // received, not yet consumed (head, then what came with it)
    AnswerHead head;
    bool heard = false;           // at least one byte of an answer
    bool answered_early = false;  // the answer began before the request was sent whole
  };

  net::Task<Result<void>> connect(Upstream& up);
  std::string request_head() const;
  net::Task<Result<void>> send_request(Upstream& up);
  net::Task<Result<void>> read_head(Upstream& up);
  Result<bool> take_head(Upstream& up, wire::ResponseParser& parser) const;
  net::Task<bool> is_opened(Upstream& up);
  Result<bool> take_more(Upstream& up, net::WaitResult ready);
  Duration longest_wait() const;

  net::Task<void> relay_document(Upstream& up);
  net::Task<void> relay_long_document(Upstream& up, wire::BodyDecoder& decoder, std::string begun);
  net::Stream::ReadyAwaiter more_of(Upstream& up);
  Result<bool> take_more_of(Upstream& up, wire::BodyDecoder& decoder, net::WaitResult ready);
  bool is_hidden_error(const Upstream& up);
  void cut_document(const Error& error);

  net::Task<void> send_last(Upstream& up, StreamCopy& copy);
  net::Task<void> end_stream(Upstream& up, StreamCopy& copy);
  net::Task<void> end_complete(Upstream& up, StreamCopy& copy);
  void note_progress(const StreamCopy& copy);
  void cross_the_fence(const Upstream& up, engine::Lease::Tell tell);
  enum class Step : std::uint8_t { kGoesOn, kOver };
  Step take_arrived(Upstream& up, StreamCopy& copy);
  Step take_input(Upstream& up, StreamCopy& copy, std::string_view input);
  void called_off(net::WaitResult result, const StreamCopy& copy);
  void over(core::AttemptResult how, std::string why);
  void client_left();
  std::string without_final_record() const;
  bool is_too_late() const;
  std::string too_late() const;
  // Whether the instance's own error record went to the client already; or a part of another one.
  enum class RecordSent : std::uint8_t { kNo, kBegun, kYes };
  net::Task<void> end_broken(std::string detail, core::AttemptResult result,
                             RecordSent record_sent);
  enum class Flushed : std::uint8_t { kAll, kClientGone };  // gone, or it takes nothing
  net::Task<Flushed> flush();
  net::Task<Flushed> send_pending();
  // What the outcome is from now on. An attempt that the client saw nothing of may be hidden.
  enum class Again : std::uint8_t { kNo, kYes };
  void answered(core::AttemptResult result, std::string detail, const Usage& usage);
  void hidden(core::AttemptResult result, std::string detail, Again again);
  void failed(Error error);
  core::AttemptResult result_of(const Error& error) const;
  void give_back(Upstream& up, bool body_done);
  Answer answer_head(const Upstream& up) const;
  bool is_stream(const AnswerHead& head) const;

  const Settings& settings() const { return means_.settings; }
  const Instance& instance() const { return settings().instances[lease_.backend().value]; }
  net::Loop& loop() const { return client_.loop(); }

  const Means& means_;
  Client& client_;
  Exchange& exchange_;
  engine::Lease& lease_;
  net::Cancel& cancel_;
  Relayed& outcome_;
  std::string pending_;  // framed for the client, refused by its kernel buffer so far
  bool content_sent_ = false;
  Instant progress_told_{};  // when the lease last heard that the stream goes on
};

}  // namespace drover::gateway
