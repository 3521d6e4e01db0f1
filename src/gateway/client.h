#pragma once
// The client's side of a connection: buffered input, and answers framed for its protocol version.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/result.h"
#include "net/stream.h"
#include "net/task.h"
#include "wire/http_head.h"

namespace drover::gateway {

// One answer's head, as far as drover decides it. Framing follows from the client's version. Views,
// which live as long as whoever sends it: empty ones make no field.
struct Answer {
  int status = 200;
  std::string_view content_type;
  std::string_view fields;  // further complete lines, each ending in CRLF
  std::string_view request_id;
  std::string_view backend;
  std::string_view why;
};

class Client {
 public:
  explicit Client(std::unique_ptr<net::Stream> stream);

  net::Stream& stream() { return *stream_; }
  net::Loop& loop() { return stream_->loop(); }
  const std::string& peer() const { return peer_; }

  // It came through a loopback address, so from this machine.
  void set_local(bool local) { local_ = local; }
  bool is_local() const { return local_; }

  // Bytes received and not yet consumed. Heads point into it: consume() only when done with them.
  std::string_view buffered() const {
    return arrived_.empty() ? std::string_view(input_).substr(consumed_) : arrived_;
  }
  void consume(std::size_t bytes);
  // What has just arrived lies in the loop's memory, since nearly every request is taken from there
  // whole. Whatever is left of it is to be kept before the next co_await of anything.
  void keep();
  bool is_kept() const { return arrived_.empty(); }
  // Gives the memory back while the connection idles. Precondition: nothing buffered.
  void release_buffer();
  // co_await more(), then take_more() what arrived, perhaps nothing yet. Errors: kClosed (the
  // client finished or reset), kTimeout, kCancelled.
  net::Stream::ReadyAwaiter more(Instant deadline, net::Cancel* cancel) {
    DROVER_ASSERT(is_kept());
    return stream_->readable(deadline, cancel);
  }
  Result<void> take_more(net::WaitResult ready);

  // The same without keeping: the view is the loop's memory, valid until the next co_await. What
  // is not used goes back with unread(). Precondition: nothing buffered.
  net::Task<Result<std::string_view>> receive(Instant deadline, net::Cancel* cancel);
  void unread(std::string_view rest) {
    DROVER_ASSERT(is_kept());
    input_.append(rest);
  }

  // What the request allows of the answer; set once its head is read.
  void begin_request(const wire::RequestHead& head);
  void close_after_answer() { keep_alive_ = false; }
  // The answer can not be completed: the connection ends in a reset, so that nobody takes what was
  // sent for the whole.
  void cut_short();
  bool is_cut_short() const { return cut_short_; }
  bool keep_alive() const { return keep_alive_; }

  // A whole answer in one send. `body` is left out for HEAD, its length announced.
  net::Task<Result<void>> send_whole(Answer answer, std::string_view body, Duration stall,
                                     net::Cancel* cancel);

  // A streamed answer: head with the first content, pieces as they come, then the end.
  std::string stream_head(const Answer& answer);
  // Non-suspending: sends what the kernel takes and returns a copy of what it did not. Frames
  // `pieces` as one chunk (HTTP/1.1) or bare (HTTP/1.0), between `before` and `after`, both raw. At
  // most kMaxPieces. Errors: kClosed.
  Result<std::string> send_now(std::string_view before, std::span<const std::string_view> pieces,
                               std::string_view after);
  // The same into a string, for when earlier bytes still wait.
  void frame(std::string& out, std::span<const std::string_view> pieces,
             std::string_view after) const;
  // The same for chunks that are framed already. Precondition: takes_chunks().
  Result<std::string> send_framed_now(std::string_view before, std::string_view chunks);
  bool takes_chunks() const { return minor_version_ == 1; }
  static constexpr std::size_t kMaxPieces = net::Stream::kMaxParts - 4;
  // The end of a streamed answer as it goes over the wire; empty for HTTP/1.0 (the close says it).
  std::string_view stream_end() const;
  // Sends raw bytes to the last one.
  net::Task<Result<void>> send_rest(std::string rest, Duration stall, net::Cancel* cancel);

  std::uint64_t bytes_sent() const { return bytes_sent_; }

 private:
  enum class BodyIs : std::uint8_t { kCounted, kChunked, kNone };
  static std::size_t head_bound(const Answer& answer);
  char* put_head(char* at, const Answer& answer, BodyIs body_is, std::uint64_t bytes) const;
  net::Task<Result<void>> send_behind(std::string head, std::string_view body, Duration stall,
                                      net::Cancel* cancel);
  Result<std::string> send_parts(std::span<const std::string_view> parts);
  std::unique_ptr<net::Stream> stream_;
  std::string peer_;
  std::string input_;
  std::size_t consumed_ = 0;  // of input_
  std::string_view arrived_;  // in the loop's memory; if not empty, input_ is
  std::uint64_t bytes_sent_ = 0;
  int minor_version_ = 1;
  bool keep_alive_ = true;
  bool head_only_ = false;
  bool cut_short_ = false;
  bool local_ = false;
};

// Waits until the client closes, reading and dropping what it still sends: a close with unread
// input would be a reset, and the answer before it could be lost. Ends after `time` without input,
// 15 times that in all, or 256 MiB.
net::Task<void> linger(Client& client, Duration time);

}  // namespace drover::gateway
