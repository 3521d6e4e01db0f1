#pragma once
// One client connection of the double: requests in, answers out. Answers are written at once, one
// send for each put; what the socket does not take waits in `backlog` until drain().

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/loop.h"
#include "net/stream.h"
#include "net/task.h"
#include "net/wait.h"
#include "wire/http_head.h"

namespace drover::fake {

// A request with its own copies: it outlives the buffer it was read from.
struct Request {
  wire::Method method = wire::Method::kOther;
  std::string method_text;
  std::string path;
  std::string host;
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
  int minor_version = 1;
  bool keep_alive = true;
  std::string body;  // empty when it was only counted
  std::uint64_t body_bytes = 0;

  std::optional<std::string_view> find(std::string_view lower_case_name) const;
};

class Connection {
 public:
  Connection(net::Loop& loop, std::unique_ptr<net::Stream> stream);

  // The next request, whole. False: the client left, or sent what is no request (answered with 400
  // as Go's server does). Bodies of blob uploads are counted, and kept only after keep_blobs().
  net::Task<bool> read_request(Request& request);

  void keep_blobs() { keep_blobs_ = true; }

  // Triggered when the client hangs up while its request is served, and by cut().
  net::Cancel& gone() { return gone_; }
  bool client_left() const { return gone_.reason() == net::CancelReason::kClientGone; }

  // A whole answer. HEAD gets its head only.
  void answer(int status, std::string_view content_type, std::string_view body,
              std::string_view more_fields = {});

  // A streamed answer: the head goes out with the first chunk.
  void begin_stream(int status, std::string_view content_type);
  void chunk(std::string_view payload);
  // With a last chunk, in the same send.
  void end_stream(std::string_view last_payload = {});

  // Bytes as they are.
  void put(std::string_view a, std::string_view b = {}, std::string_view c = {},
           std::string_view d = {});
  // True when everything put so far is with the socket.
  bool settled() const { return backlog_.empty(); }
  // Waits for that. False: the client left.
  net::Task<bool> drain();

  // Ends the connection after this answer.
  void close_after() { keep_ = false; }
  bool keeps() const { return keep_ && !failed_; }
  // The close will be a reset.
  void reset() {
    keep_ = false;
    was_reset_ = true;
    stream_->reset_on_close();
  }
  // Ends every wait of this connection and resets it, as the end of the process would.
  void cut();
  // Sends FIN and reads on for a moment, so that the last bytes are not lost to a reset.
  net::Task<void> linger();

 private:
  net::Task<bool> fill();
  net::Task<bool> read_head(Request& request, wire::RequestHead& head);
  net::Task<bool> read_body(Request& request, wire::RequestHead head);
  std::string head_text(int status, std::string_view content_type) const;
  void refuse_malformed();

  net::Loop& loop_;
  std::unique_ptr<net::Stream> stream_;
  net::Cancel gone_;
  std::string buffer_;   // read and not yet used
  std::string backlog_;  // put and not yet sent
  std::string head_;     // of a stream whose first chunk is still to come
  wire::Method method_ = wire::Method::kOther;
  bool chunked_ = true;  // HTTP/1.0 streams end with the connection
  bool keep_ = true;
  bool failed_ = false;
  bool was_reset_ = false;
  bool keep_blobs_ = false;
};

}  // namespace drover::fake
