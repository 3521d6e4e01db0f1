// The link between keeper and gateway, when the gateway is no longer ours: any bytes are read
// without harm, pieces make no difference, and what is read can be said again.

#include "keeper/messages.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"

namespace {

using namespace drover;
using keeper::Message;
using keeper::MessageReader;

void require(bool condition) {
  if (!condition) std::abort();
}

// Every message, said again; "bad" at the end when the rest could not be read.
std::vector<std::string> read(std::string_view bytes, std::uint64_t longest) {
  Rng rng(bytes.size());
  MessageReader reader;
  std::vector<std::string> out;
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, 1 + rng.below(longest));
    bytes.remove_prefix(piece.size());
    reader.feed(piece);
    for (;;) {
      const Result<std::optional<Message>> message = reader.next();
      if (!message) {
        out.emplace_back("bad");
        return out;
      }
      if (!*message) break;
      out.push_back(encode(**message));
    }
  }
  return out;
}

void check_said_again(const std::string& encoded) {
  MessageReader reader;
  reader.feed(encoded);
  const Result<std::optional<Message>> message = reader.next();
  require(message.ok() && message->has_value());
  require(encode(**message) == encoded);
  const Result<std::optional<Message>> nothing = reader.next();
  require(nothing.ok() && !nothing->has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string> whole = read(bytes, size + 1);
  for (const std::uint64_t longest : {1, 9, 64}) require(read(bytes, longest) == whole);
  for (const std::string& message : whole) {
    if (message != "bad") check_said_again(message);
  }
  return 0;
}
