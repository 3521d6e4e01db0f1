#pragma once
// Trace: recorded traffic as a workload. Four kinds are known by how they begin:
//
//   Azure LLM 2023, 2024   TIMESTAMP,ContextTokens,GeneratedTokens
//   BurstGPT               Timestamp,…,Model,Request tokens,Response tokens,…
//   Mooncake               {"timestamp": …, "input_length": …, "output_length": …, "hash_ids": […]}
//   drover's own log       {"ts":"…","level":"info","event":"request",…}, other lines between them
//
// Every request comes at its recorded instant, however long those before it take. What a trace does
// not say is made up, seeded: models by Zipf's law over those of the fleet.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sim/workload.h"

namespace drover::sim {

struct TraceLine {
  double at_s = 0;  // since the first
  std::uint32_t prompt = 0;
  std::uint32_t output = 0;
  std::uint32_t model = 0;    // of Trace::models, if there are any
  std::uint32_t tenant = 0;   // of Trace::tenants, if there are any
  std::uint32_t session = 0;  // those with the same number may share the beginning of their prompts
  std::uint32_t history = 0;  // tokens of the prompt that were in the session before
};

struct Trace {
  std::string kind;                  // "Azure LLM", …
  std::vector<TraceLine> lines;      // by time
  std::vector<std::string> models;   // by name, asked for most first; empty: not said
  std::vector<std::string> tenants;  // the same
  std::size_t skipped = 0;           // requests without an answer
};

// The message of an Error names the line.
Result<Trace> read_trace(std::string_view text);

// A model about whom only the name is known: "qwen3:4b" has 4e9 parameters, "llama3" is taken to
// have 8e9. Four bits each, as Ollama's library has them.
Model model_from_name(std::string_view name);

// `seed` decides about what the trace does not say.
Workload workload_from(const Trace& trace, const Fleet& fleet, std::uint64_t seed);

// "24GB", "24" or a kind ("rtx4090").
std::optional<GpuKind> gpu_from_text(std::string_view text);

}  // namespace drover::sim
