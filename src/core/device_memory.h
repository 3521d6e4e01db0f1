#pragma once
// DeviceMemory: the ledger of GPU memory where several instances share devices, as a spanning
// instance shares them with the pinned ones. Each Ollama sees the memory that is free when it loads
// and puts what does not fit on the CPU, silently; so who may load what is decided here, before.
//
// Held by an instance is what /api/ps lists of it, and what was granted and is not listed yet: a
// model that loads is invisible until it has loaded. Memory is taken to be spread over the
// devices of its instance in proportion to their sizes, which is how a load is split. What an
// instance holds itself is never in its own way: Ollama makes room among its own models.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/gpu.h"
#include "base/ids.h"
#include "base/models.h"
#include "core/fleet.h"

namespace drover::core {

class DeviceMemory {
 public:
  explicit DeviceMemory(std::span<const BackendSpec> specs);
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // --- what is seen ---
  void devices(const GpuReport& report);
  void looked(BackendId backend, const Residency& residency);
  void emptied(BackendId backend);  // its process is gone, and its memory with it

  // What was seen in another life.
  void remember(BackendId backend, const ModelName& model, std::uint64_t bytes);

  // --- what is granted; the model under the name that /api/ps uses, where it is loaded ---
  void granted(BackendId backend, const ModelName& model, std::uint64_t need);
  // True: nobody uses that model there any more.
  bool ended(BackendId backend, const ModelName& model);

  // --- questions ---
  // What the model takes there: as it was there, else as it was anywhere, else by its file.
  std::uint64_t need(BackendId backend, const ModelName& model, std::uint64_t file_bytes) const;
  // Of all its devices together; absent: not known.
  std::optional<std::uint64_t> capacity(BackendId backend) const { return of(backend).capacity; }
  // Whole sizes of models when they were loaded there last, by name.
  std::vector<std::pair<ModelName, std::uint64_t>> sizes(BackendId backend) const;
  bool shares(BackendId one, BackendId other) const;  // a device; false for the same instance
  bool any_shared() const { return any_shared_; }     // of all devices, by instances
  // Loaded there, or being loaded.
  bool holds(BackendId backend, const ModelName& model) const;
  std::uint64_t held(BackendId backend) const;
  // Beside what the others hold at this moment.
  bool has_room(BackendId backend, std::uint64_t need) const;
  std::vector<ModelName> idle_models(BackendId backend) const;
  std::uint32_t users(BackendId backend) const;

 private:
  // A model that was granted. Once /api/ps has listed it, what /api/ps says holds. Before that it
  // outlives its last request by two looks: one may have been under way before it was loaded.
  struct Hold {
    ModelName model;
    std::uint32_t users = 0;
    bool listed = false;
    std::uint32_t looks_left = 0;
    std::uint64_t bytes = 0;
  };
  struct Listed {
    ModelName model;
    std::uint64_t bytes = 0;  // on its devices
  };
  struct Books {
    std::vector<std::size_t> devices;       // in devices_
    std::vector<Listed> listed;             // by the last look
    std::vector<Hold> holds;                // in no order
    std::vector<std::uint32_t> neighbours;  // other instances that share a device
    std::optional<std::uint64_t> capacity;

    // An instance has a few models at once: they are looked for one after the other.
    const Listed* find_listed(const ModelName& model) const;  // null: it is not
    const Hold* find_hold(const ModelName& model) const;      // null: there is none
    Hold* find_hold(const ModelName& model);
  };
  struct Device {
    std::string uuid;
    std::optional<std::uint64_t> total;
  };
  // Whole sizes of a model when it was loaded last.
  struct Learned {
    std::vector<std::uint64_t> at;  // by BackendId; 0: not loaded there yet
    std::uint64_t largest = 0;      // of these, never 0
  };
  std::size_t device(const std::string& uuid);
  std::optional<std::uint64_t> sum_of_devices(const Books& books) const;
  const Books& of(BackendId backend) const { return books_[backend.value]; }
  Books& of(BackendId backend) { return books_[backend.value]; }
  // Of `bytes` on all devices of an instance, what lies on one of them.
  std::uint64_t share(BackendId backend, std::uint64_t bytes, std::uint64_t device_total) const;
  void learn(BackendId backend, const ModelName& model, std::uint64_t bytes);
  const Learned* learned(const ModelName& model) const;  // null: never loaded

  std::vector<Books> books_;  // by BackendId
  std::vector<Device> devices_;
  bool any_shared_ = false;
  std::map<ModelName, Learned> learned_;
  // What learned() found last: one choice asks for the same name at each instance.
  mutable const std::pair<const ModelName, Learned>* found_last_ = nullptr;
};

}  // namespace drover::core
