#pragma once
// A simulated Ollama: its HTTP surface, its two queues, its loads that take time and memory, and
// its faults on command. No model runs. It speaks through net::Loop, so the same code serves a real
// port (the `fake_ollama` program) and a port of the simulated network.
//
//   http.h        one connection: heads, bodies, chunks       routes.h     what is answered where
//   request.h     what a request body asks for                inference.h  the story of one answer
//   scheduler.h   loads, slots, memory                        writer.h     answers in each dialect
//   faults.h      what goes wrong on command                  control.h    /fake/...
//   state.h       everything that the connections share
//
// All of one instance belongs to one loop. The answer to a question is a function of the seed and
// the question (text.h), so a test can compute what must arrive.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/stream.h"
#include "net/task.h"

namespace drover::fake {

struct FakeModel {
  std::string name = "llama3.2:latest";
  std::uint64_t bytes = 2'000'000'000;
  bool embeds = false;
  std::string digest = "";       // 64 hex digits; empty: derived from the name, equal everywhere
  std::string modified_at = "";  // RFC 3339; empty: a fixed date
};

struct FakeOptions {
  std::string name = "sim";  // told in answers of the control endpoint only
  std::uint64_t seed = 1;
  std::vector<FakeModel> models;  // default: a small chat model and an embedding model
  std::uint64_t vram_bytes = 24'000'000'000;
  int parallel = 1;     // OLLAMA_NUM_PARALLEL: slots of a loaded model
  int max_queue = 512;  // OLLAMA_MAX_QUEUE: pending loads before a 503
  int max_loaded = 3;   // OLLAMA_MAX_LOADED_MODELS; 3 is the default with one GPU
  Duration load_time = std::chrono::milliseconds(300);     // of a cold model
  Duration prefill_per_kb = std::chrono::milliseconds(2);  // of prompt text; images cost nothing
  Duration token_time = std::chrono::milliseconds(10);     // between tokens of one stream
  Duration keep_alive = std::chrono::minutes(5);           // OLLAMA_KEEP_ALIVE
  int tokens = 32;    // of an answer when num_predict is not given
  bool echo = false;  // every answer repeats the question
  std::string version = "0.32.15";
  std::string directory;  // where pulled models lie as files; empty: nowhere
  // A process for each loaded model, as Ollama has; without it nothing but this process runs.
  bool runner_processes = false;
};

// "a,b,c:4GB": names, each with a size when one follows the last colon (KB, MB, GB, TB). A name
// with "embed" in it is an embedding model. Empty and a reason in `error` when it cannot be read.
std::vector<FakeModel> parse_models(const std::string& text, std::string& error);
// "24GB", "512MB", "1000". False when it cannot be read.
bool parse_bytes(const std::string& text, std::uint64_t& bytes);

struct State;

class FakeOllama {
 public:
  FakeOllama(net::Loop& loop, FakeOptions options);
  ~FakeOllama();
  FakeOllama(const FakeOllama&) = delete;
  FakeOllama& operator=(const FakeOllama&) = delete;

  // Accepts on `listener` until the loop is abandoned or stop().
  void serve(std::unique_ptr<net::Listener> listener);
  // Closes the port and, by resets, every connection, as a killed process does.
  void stop();

  // The same as POST /fake/fault with this JSON. False when it is not understood.
  bool inject(const std::string& fault_json);
  void clear_faults();
  // What GET /fake/state answers.
  std::string state_json() const;
  // Called by POST /fake/exit, after its answer was sent.
  void on_exit(std::function<void()> exit);

  // What a test asks afterwards.
  struct Counts {
    std::uint64_t requests = 0;   // inference requests received
    std::uint64_t completed = 0;  // whose answer was sent whole
    std::uint64_t cancelled = 0;  // whose client left
    std::uint64_t loads = 0;      // begun
    std::uint64_t loads_thrown_away = 0;
    std::uint64_t evictions = 0;
    std::uint64_t tokens = 0;  // sent or computed
    std::uint32_t running = 0;
    std::uint32_t most_running = 0;  // ever at the same time
    std::uint32_t waiting = 0;       // for a slot or a load
  };
  Counts counts() const;

 private:
  std::shared_ptr<State> state_;  // shared with the frames of its connections
};

}  // namespace drover::fake
