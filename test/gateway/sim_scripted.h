#pragma once
// An instance that answers inference with exact bytes: what a broken or hostile one may send. It
// takes the place of a simulated Ollama, whose answers to checks it repeats, so it counts as
// healthy until what it does to requests says otherwise.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/sim_world.h"
#include "net/stream.h"

namespace drover::simtest {

// What happens to the connection behind the bytes.
enum class Then : std::uint8_t { kKeep, kEnd, kReset };

struct Script {
  std::string bytes;
  Then then = Then::kKeep;
  std::string later = {};  // sent 10 ms behind `bytes`, when the answer was long taken
  bool early = false;      // answers on the head, and reads the body only afterwards
};

class Scripted {
 public:
  // `checks` replaces the answers to /api/tags and /api/ps; none: good ones.
  Scripted(World& world, std::uint32_t instance, Script script, std::optional<Script> checks = {});
  Scripted(const Scripted&) = delete;
  Scripted& operator=(const Scripted&) = delete;
  ~Scripted() { stop(); }

  void answer_with(Script script) { script_ = std::move(script); }
  // Inference requests as they arrived, head and body.
  const std::vector<std::string>& received() const { return received_; }
  // Connections that carried inference, since the start and still open.
  std::size_t connections() const { return connections_; }
  std::size_t open() const { return open_; }
  // The address is free again; the simulated Ollama can be restarted.
  void stop();

 private:
  struct Request {
    std::string text;
    std::string path;
    std::size_t head = 0;
    std::size_t length = 0;
  };
  net::Task<void> accept();
  net::Task<void> serve(std::unique_ptr<net::Stream> stream);
  net::Task<bool> read_until(net::Stream& stream, std::string& input, std::size_t size);
  net::Task<bool> read_head(net::Stream& stream, std::string& input, Request& request);
  net::Task<bool> answer(net::Stream& stream, std::string bytes);
  net::Task<bool> play(net::Stream& stream, std::string& input, Request request);
  net::Task<bool> say(net::Stream& stream, Script script);

  World& world_;
  net::Endpoint at_;
  std::unique_ptr<net::Listener> listener_;
  Script script_;
  std::optional<Script> checks_;
  std::string tags_;  // of the simulated Ollama
  std::vector<std::string> received_;
  std::size_t connections_ = 0;
  std::size_t open_ = 0;
};

}  // namespace drover::simtest
