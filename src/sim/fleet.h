#pragma once
// Fleet: the machines of a simulated world, as numbers. A Gpu and a Model give a Pace: how long
// this model takes on this GPU for each thing that a request needs. The numbers are published
// measurements where there are any (docs/simulator.md names them); the rest is scaled from these by
// memory bandwidth and computing power.

#include <cstdint>
#include <string>
#include <vector>

namespace drover::sim {

using ModelIndex = std::uint32_t;
using InstanceIndex = std::uint32_t;

struct GpuKind {
  std::string name;
  double memory_gb = 24;
  double decode_ms_per_gb = 1.3;  // one token reads the whole model once
  double prefill_rate = 70'000;   // tokens a second of a model with 1e9 parameters
};
// "rtx4090", "rtx3090", "rtx4080", "a100-80gb", "h100-80gb", "gtx1080". Precondition: one of them.
GpuKind gpu_kind(const std::string& name);
GpuKind gpu_of_memory(double gigabytes);  // the nearest of the kinds above, with that much memory

struct Model {
  std::string name;
  double parameters_b = 8;    // 1e9 parameters
  double file_gb = 4.9;       // weights
  double kv_mb_token = 0.13;  // of cache for one token of context
  std::uint32_t slots = 4;    // OLLAMA_NUM_PARALLEL; 1 where Ollama forces 1
  std::uint32_t num_ctx = 8192;

  double vram_gb() const;  // weights, the cache of all slots, and buffers
};

// Seconds, of one model on one GPU.
struct Pace {
  double token = 0.01;          // one step of decoding for one request alone
  double batch = 0.15;          // each further request in the batch makes a step longer by this
  double context = 0;           // and each token of context of all of them
  double prefill_base = 0.01;   // of every request
  double prefill_token = 1e-4;  // a prompt token that is not cached
  double prefill_depth = 4e-9;  // times the tokens in front of it: long contexts are slower

  // One step for `running` requests with `context_tokens` of context together.
  double step(double running, double context_tokens) const {
    return token * (1 + batch * (running - 1)) + context * context_tokens;
  }
  double prefill(double prompt, double cached) const {
    const double fresh = prompt - cached;
    return prefill_base + prefill_token * fresh + prefill_depth * fresh * (cached + fresh / 2);
  }
};

struct Fleet {
  std::vector<GpuKind> gpus;         // one Ollama instance on each
  std::vector<std::uint32_t> hosts;  // of each: they share its disk
  std::vector<Model> models;
  double batch = 0.15;         // Pace::batch of every pair
  double prefill_share = 0.7;  // of a GPU's time, where others write meanwhile
  double bytes_per_token = 4;  // of prompts: English text
  double disk_gb_s = 2.5;      // NVMe, shared by the loads of one host
  double memory_gb_s = 6;      // from the page cache
  double page_cache_gb = 64;   // of one host
  double init_s = 1.5;         // of a load, beside reading
  double prompt_s = 0.01;      // Pace::prefill_base of every pair
  double unload_s = 1.0;       // until the memory is seen to be free
  std::uint32_t max_queue = 512;
  double keep_alive_s = 300;
  double ram_cache_gb = 8;    // llama.cpp's prompt cache in host memory
  double poll_s = 2;          // /api/ps
  double poll_timeout_s = 5;  // its answer is waited for; then it is asked again at once
  bool supervised = true;     // else nobody knows its GPUs, and slots have to be learned
  bool free_prefill = false;  // for queueing theory: only decoding takes time

  Pace pace(InstanceIndex instance, ModelIndex model) const;
  bool fits(InstanceIndex instance, ModelIndex model) const {
    return models[model].vram_gb() <= gpus[instance].memory_gb * 0.95;
  }
  double cache_tokens(ModelIndex model) const;  // of a loaded model: slots and host memory
  // From disk, alone there.
  double load_s(ModelIndex model) const { return init_s + models[model].file_gb / disk_gb_s; }
  double total_vram_gb() const;
};

// The same machines, everything on them `times` as fast; who looks at them looks as often.
Fleet faster(Fleet fleet, double times);

// Two RTX 4090, two RTX 3090, an RTX 4080 and an A100, in three hosts. The models are as many as
// fill their memory `oversubscription` times.
Fleet mixed_fleet(double oversubscription);

}  // namespace drover::sim
