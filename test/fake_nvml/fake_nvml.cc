// A libnvidia-ml.so.1 without a GPU: answers as the scenario says (scenario.h). Its layouts are
// written from NVML's reference once more, and not taken from the reader that it tests: a mistake
// in one of the two shows.
//
// With FAKE_NVML_OLD only the unversioned symbols of the first releases are exported.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>
#include <string>

#include "fake_nvml/scenario.h"

namespace {

using drover::fake_nvml::Device;
using drover::fake_nvml::Scenario;

constexpr int kOk = 0;
constexpr int kUninitialized = 1;
constexpr int kInvalid = 2;
constexpr int kNotSupported = 3;
constexpr int kNotFound = 6;
constexpr int kTooSmall = 7;
constexpr int kTimeout = 10;
constexpr int kLost = 15;
constexpr unsigned kNone = 0xFFFFFFFF;

// A handle is the address of a UUID that is kept for ever, so it stays good while the scenario
// changes.
using Handle = const std::string*;

int sessions = 0;
std::map<std::string, std::size_t> told;  // XIDs by UUID
std::set<std::string> registered;

Handle handle_of(const std::string& uuid) {
  static std::set<std::string> known;
  return &*known.insert(uuid).first;
}

const Device* find(const Scenario& scenario, const std::string& uuid) {
  for (const Device& gpu : scenario.gpus) {
    if (gpu.uuid == uuid) return &gpu;
    for (const Device& slice : gpu.slices) {
      if (slice.uuid == uuid) return &slice;
    }
  }
  return nullptr;
}

// Answers one question about one device, if it can be asked at all.
template <class Answer>
int about(Handle handle, Answer answer) {
  const Scenario scenario = drover::fake_nvml::now();
  if (sessions == 0) return kUninitialized;
  if (handle == nullptr) return kInvalid;
  const Device* device = find(scenario, *handle);
  if (device == nullptr) return kLost;
  if (const auto error = device->number("error")) return static_cast<int>(*error);
  return answer(*device);
}

int copy(const std::string& text, char* out, unsigned bytes) {
  if (bytes < text.size() + 1) return kTooSmall;
  std::memcpy(out, text.c_str(), text.size() + 1);
  return kOk;
}

template <class Number>
int give(const Device& device, const char* word, Number* out) {
  const auto value = device.number(word);
  if (!value) return kNotSupported;
  *out = static_cast<Number>(*value);
  return kOk;
}

unsigned long long used_bytes(const Device& device) {
  unsigned long long sum = device.number("memory_used").value_or(0);
  for (const auto& process : device.processes) sum += process.second.value_or(0);
  return sum;
}

struct OldProcess {
  unsigned pid;
  unsigned long long bytes;
};
struct NewProcess {
  unsigned pid;
  unsigned long long bytes;
  unsigned gpu_instance;
  unsigned compute_instance;
};

template <class Entry>
int list(Handle handle, unsigned* count, Entry* entries) {
  return about(handle, [&](const Device& device) {
    const unsigned room = *count;
    *count = static_cast<unsigned>(device.processes.size());
    if (room < *count) return kTooSmall;
    for (unsigned i = 0; i < *count; ++i) {
      Entry& entry = entries[i];
      entry.pid = device.processes[i].first;
      entry.bytes = device.processes[i].second.value_or(~0ULL);
      if constexpr (std::is_same_v<Entry, NewProcess>) {
        entry.gpu_instance = kNone;
        entry.compute_instance = kNone;
      }
    }
    return kOk;
  });
}

struct PciInfo {
  char legacy[16];
  unsigned domain, bus, device, id, subsystem;
#ifndef FAKE_NVML_OLD
  char bus_id[32];
#endif
};

struct Event {
  Handle device;
  unsigned long long type, data;
#ifndef FAKE_NVML_OLD
  unsigned gpu_instance, compute_instance;
#endif
};

}  // namespace

#define NVML extern "C" __attribute__((visibility("default"))) int
#ifdef FAKE_NVML_OLD
#define NEWEST(name, version) name
#else
#define NEWEST(name, version) name##version
#endif

NVML NEWEST(nvmlInit, _v2)() {
  const int code = static_cast<int>(drover::fake_nvml::now().number("init", kOk));
  if (code == kOk) ++sessions;
  return code;
}

NVML nvmlShutdown() {
  if (sessions == 0) return kUninitialized;
  if (--sessions == 0) registered.clear();
  return kOk;
}

extern "C" __attribute__((visibility("default"))) const char* nvmlErrorString(int code) {
  return code == kOk ? "Success" : "Said by the fake";
}

NVML nvmlSystemGetDriverVersion(char* out, unsigned bytes) {
  const Scenario scenario = drover::fake_nvml::now();
  const auto driver = scenario.words.find("driver");
  return copy(driver == scenario.words.end() ? "1.0" : driver->second, out, bytes);
}

NVML NEWEST(nvmlDeviceGetCount, _v2)(unsigned* count) {
  const Scenario scenario = drover::fake_nvml::now();
  if (sessions == 0) return kUninitialized;
  *count = static_cast<unsigned>(scenario.gpus.size());
  return kOk;
}

NVML NEWEST(nvmlDeviceGetHandleByIndex, _v2)(unsigned index, Handle* out) {
  const Scenario scenario = drover::fake_nvml::now();
  if (sessions == 0) return kUninitialized;
  if (index >= scenario.gpus.size()) return kInvalid;
  const Device& gpu = scenario.gpus[index];
  if (const auto error = gpu.number("no_handle")) return static_cast<int>(*error);
  *out = handle_of(gpu.uuid);
  return kOk;
}

NVML nvmlDeviceGetUUID(Handle handle, char* out, unsigned bytes) {
  // The real one knows the UUID of a GPU that answers nothing else.
  return handle == nullptr ? kInvalid : copy(*handle, out, bytes);
}

NVML nvmlDeviceGetName(Handle handle, char* out, unsigned bytes) {
  return about(handle, [&](const Device& device) {
    const auto name = device.words.find("name");
    return name == device.words.end() ? kNotSupported : copy(name->second, out, bytes);
  });
}

NVML NEWEST(nvmlDeviceGetPciInfo, _v3)(Handle handle, PciInfo* out) {
  return about(handle, [&](const Device& device) {
    const auto pci = device.words.find("pci");
    if (pci == device.words.end()) return kNotSupported;
    *out = {};
    const int read =
        std::sscanf(pci->second.c_str(), "%x:%x:%x", &out->domain, &out->bus, &out->device);
    return read == 3 ? kOk : kNotSupported;
  });
}

struct OldMemory {
  unsigned long long total, free, used;
};
NVML nvmlDeviceGetMemoryInfo(Handle handle, OldMemory* out) {
  return about(handle, [&](const Device& device) {
    const auto total = device.number("memory_total");
    if (!total) return kNotSupported;
    *out = {*total, *total - used_bytes(device), used_bytes(device)};
    return kOk;
  });
}

NVML nvmlDeviceGetTemperature(Handle handle, unsigned sensor, unsigned* out) {
  if (sensor != 0) return kInvalid;
  return about(handle, [&](const Device& device) { return give(device, "temperature", out); });
}

struct Utilization {
  unsigned gpu, memory;
};
NVML nvmlDeviceGetUtilizationRates(Handle handle, Utilization* out) {
  return about(handle,
               [&](const Device& device) { return give(device, "utilization", &out->gpu); });
}

NVML nvmlDeviceGetPowerUsage(Handle handle, unsigned* out) {
  return about(handle, [&](const Device& device) { return give(device, "power", out); });
}

NVML nvmlDeviceGetComputeRunningProcesses(Handle handle, unsigned* count, OldProcess* out) {
  return list(handle, count, out);
}

NVML nvmlEventSetCreate(const int** set) {
  static const int the_set = 0;
  *set = &the_set;
  return kOk;
}

NVML nvmlEventSetFree(const int*) { return kOk; }

NVML nvmlDeviceRegisterEvents(Handle handle, unsigned long long types, const int*) {
  return about(handle, [&](const Device& device) {
    if (types != 8) return kInvalid;
    registered.insert(device.uuid);
    return kOk;
  });
}

NVML NEWEST(nvmlEventSetWait, _v2)(const int*, Event* out, unsigned) {
  const Scenario scenario = drover::fake_nvml::now();
  for (const Device& gpu : scenario.gpus) {
    std::size_t& count = told[gpu.uuid];
    if (registered.count(gpu.uuid) == 0 || count >= gpu.xids.size()) continue;
    const drover::fake_nvml::Xid& xid = gpu.xids[count++];
    out->device = handle_of(gpu.uuid);
    out->type = 8;
    out->data = xid.number;
#ifndef FAKE_NVML_OLD
    out->gpu_instance = xid.instance.value_or(kNone);
    out->compute_instance = kNone;
#endif
    return kOk;
  }
  return kTimeout;
}

#ifndef FAKE_NVML_OLD

struct NewMemory {
  unsigned version;
  unsigned long long total, reserved, free, used;
};
NVML nvmlDeviceGetMemoryInfo_v2(Handle handle, NewMemory* out) {
  if (out->version != (sizeof(NewMemory) | 2U << 24)) return 25;  // ARGUMENT_VERSION_MISMATCH
  return about(handle, [&](const Device& device) {
    const auto total = device.number("memory_total");
    if (!total) return kNotSupported;
    *out = {out->version, *total, 0, *total - used_bytes(device), used_bytes(device)};
    return kOk;
  });
}

NVML nvmlDeviceGetEnforcedPowerLimit(Handle handle, unsigned* out) {
  return about(handle, [&](const Device& device) { return give(device, "power_limit", out); });
}

NVML nvmlDeviceGetCurrentClocksEventReasons(Handle handle, unsigned long long* out) {
  return about(handle, [&](const Device& device) { return give(device, "throttle", out); });
}

NVML nvmlDeviceGetComputeRunningProcesses_v3(Handle handle, unsigned* count, NewProcess* out) {
  return list(handle, count, out);
}

NVML nvmlDeviceGetMigMode(Handle handle, unsigned* current, unsigned* pending) {
  return about(handle, [&](const Device& device) {
    *current = *pending = device.mig ? 1 : 0;
    return kOk;
  });
}

NVML nvmlDeviceGetMaxMigDeviceCount(Handle handle, unsigned* count) {
  return about(handle, [&](const Device& device) {
    *count = device.mig ? 7 : 0;
    return kOk;
  });
}

NVML nvmlDeviceGetMigDeviceHandleByIndex(Handle handle, unsigned index, Handle* out) {
  return about(handle, [&](const Device& device) {
    if (index >= device.slices.size()) return kNotFound;
    *out = handle_of(device.slices[index].uuid);
    return kOk;
  });
}

NVML nvmlDeviceGetGpuInstanceId(Handle handle, unsigned* out) {
  return about(handle, [&](const Device& device) { return give(device, "instance", out); });
}

#endif
