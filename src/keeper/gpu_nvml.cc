#include "keeper/gpu_nvml.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <initializer_list>
#include <string_view>

#include "keeper/gpu_sysfs.h"

namespace drover::keeper {
namespace {

using nvml::Return;

template <class Function>
void find(void* library, Function*& function, std::initializer_list<const char*> names) {
  function = nullptr;
  for (const char* name : names) {
    function = reinterpret_cast<Function*>(::dlsym(library, name));
    if (function != nullptr) return;
  }
}

nvml::Functions find_functions(void* in) {
  nvml::Functions f{};
  find(in, f.init, {"nvmlInit_v2", "nvmlInit"});
  find(in, f.shutdown, {"nvmlShutdown"});
  find(in, f.error_string, {"nvmlErrorString"});
  find(in, f.driver_version, {"nvmlSystemGetDriverVersion"});
  find(in, f.device_count, {"nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"});
  find(in, f.device_by_index, {"nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex"});
  find(in, f.uuid, {"nvmlDeviceGetUUID"});
  find(in, f.name, {"nvmlDeviceGetName"});
  find(in, f.pci_info,
       {"nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetPciInfo_v2", "nvmlDeviceGetPciInfo"});
  find(in, f.memory, {"nvmlDeviceGetMemoryInfo"});
  find(in, f.memory_v2, {"nvmlDeviceGetMemoryInfo_v2"});
  find(in, f.utilization, {"nvmlDeviceGetUtilizationRates"});
  find(in, f.temperature, {"nvmlDeviceGetTemperature"});
  find(in, f.power, {"nvmlDeviceGetPowerUsage"});
  find(in, f.power_limit, {"nvmlDeviceGetEnforcedPowerLimit"});
  find(in, f.throttle_reasons,
       {"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"});
  find(in, f.compute_v1, {"nvmlDeviceGetComputeRunningProcesses"});
  find(in, f.compute_v2,
       {"nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2"});
  find(in, f.graphics_v1, {"nvmlDeviceGetGraphicsRunningProcesses"});
  find(in, f.graphics_v2,
       {"nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2"});
  find(in, f.mig_mode, {"nvmlDeviceGetMigMode"});
  find(in, f.mig_count, {"nvmlDeviceGetMaxMigDeviceCount"});
  find(in, f.mig_by_index, {"nvmlDeviceGetMigDeviceHandleByIndex"});
  find(in, f.gpu_instance, {"nvmlDeviceGetGpuInstanceId"});
  find(in, f.event_set_create, {"nvmlEventSetCreate"});
  find(in, f.event_set_free, {"nvmlEventSetFree"});
  find(in, f.register_events, {"nvmlDeviceRegisterEvents"});
  find(in, f.event_set_wait, {"nvmlEventSetWait_v2", "nvmlEventSetWait"});
  return f;
}

// Without these there is nothing to read; everything else may be missing.
bool usable(const nvml::Functions& f) {
  return f.init != nullptr && f.shutdown != nullptr && f.device_count != nullptr &&
         f.device_by_index != nullptr && f.uuid != nullptr;
}

// Calls what may be missing in an old library.
template <class Function, class... Arguments>
Return ask(Function* function, Arguments... arguments) {
  return function == nullptr ? nvml::kFunctionNotFound : function(arguments...);
}

template <std::size_t kBytes, class Function, class... Arguments>
std::string text(Function* function, Arguments... arguments) {
  std::array<char, kBytes> bytes{};
  if (ask(function, arguments..., bytes.data(), static_cast<unsigned>(kBytes)) != nvml::kSuccess) {
    return {};
  }
  bytes.back() = '\0';
  return bytes.data();
}

// The list may grow between two calls, so there is some room and a few tries.
template <class Entry>
Return list_processes(Return (*function)(nvml::Device, unsigned*, Entry*), nvml::Device device,
                      std::map<std::int64_t, std::optional<std::uint64_t>>& into) {
  if (function == nullptr) return nvml::kFunctionNotFound;
  constexpr unsigned kRoom = 32;
  unsigned count = kRoom;
  Return code = nvml::kInsufficientSize;
  std::vector<Entry> entries;
  for (int tries = 0; tries < 4 && code == nvml::kInsufficientSize; ++tries) {
    entries.resize(count);
    code = function(device, &count, entries.data());
    if (code == nvml::kInsufficientSize) count += kRoom;
  }
  if (code != nvml::kSuccess) return code;
  entries.resize(std::min<std::size_t>(count, entries.size()));
  for (const Entry& entry : entries) {
    std::optional<std::uint64_t>& bytes = into[entry.pid];
    if (entry.used_bytes != nvml::kNotAvailable) bytes = entry.used_bytes;
  }
  return code;
}

// A process of Vulkan is a graphics process to NVML, and one that computes is both.
std::optional<std::vector<GpuProcess>> processes(const nvml::Functions& call, nvml::Device device) {
  std::map<std::int64_t, std::optional<std::uint64_t>> found;
  const bool new_layout = call.compute_v2 != nullptr;
  const Return code = new_layout ? list_processes(call.compute_v2, device, found)
                                 : list_processes(call.compute_v1, device, found);
  if (code != nvml::kSuccess) return std::nullopt;
  if (call.graphics_v2 != nullptr) {
    list_processes(call.graphics_v2, device, found);
  } else {
    list_processes(call.graphics_v1, device, found);
  }
  std::vector<GpuProcess> list;
  for (const auto& [pid, bytes] : found) list.push_back({pid, bytes});
  return list;
}

// Drivers 535.43 to 535.85 fill the list of processes with entries of another size than they
// announce: better no list than one with wrong numbers.
bool lists_wrong_processes(const std::string& driver) {
  if (!driver.starts_with("535.")) return false;
  const int minor = std::atoi(driver.c_str() + 4);
  return minor >= 43 && minor < 86;
}

// Bits of nvmlClocksEventReasons. Being idle, and clocks that a person has set, slow nothing down
// that somebody waits for.
std::vector<std::string> throttle_words(unsigned long long bits) {
  struct Reason {
    unsigned long long bit;
    const char* word;
  };
  constexpr std::array<Reason, 6> kReasons = {{{0x4, "sw_power_cap"},
                                               {0x8, "hw_slowdown"},
                                               {0x10, "sync_boost"},
                                               {0x20, "sw_thermal"},
                                               {0x40, "hw_thermal"},
                                               {0x80, "hw_power_brake"}}};
  std::vector<std::string> words;
  for (const Reason& reason : kReasons) {
    if ((bits & reason.bit) != 0) words.emplace_back(reason.word);
  }
  return words;
}

GpuCondition condition_of(Return code) {
  return code == nvml::kGpuIsLost ? GpuCondition::kLost : GpuCondition::kFailed;
}

// What an old or small GPU does not measure, or what needs more rights, is absent and no failure.
bool only_absent(Return code) {
  return code == nvml::kSuccess || code == nvml::kNotSupported || code == nvml::kNoPermission ||
         code == nvml::kFunctionNotFound;
}

// Machines whose CPU and GPU share one memory answer kNotSupported: then both are absent.
Return read_memory(const nvml::Functions& call, nvml::Device device, Gpu& gpu) {
  nvml::MemoryV2 now{};
  now.version = nvml::kMemoryV2;
  Return code = ask(call.memory_v2, device, &now);
  if (code != nvml::kSuccess && code != nvml::kGpuIsLost) {
    nvml::Memory old{};
    code = ask(call.memory, device, &old);
    now.total = old.total;
    now.used = old.used;
  }
  if (code == nvml::kSuccess) {
    gpu.memory_total_bytes = now.total;
    gpu.memory_used_bytes = now.used;
  }
  return code;
}

}  // namespace

NvmlReader::NvmlReader(NvmlOptions options) : options_(std::move(options)) {}

GpuReport NvmlReader::read() {
  if (!in_session_ && readings_until_try_-- == 0) {
    readings_until_try_ = options_.readings_between_tries;
    begin();
  }
  GpuReport report;
  unsigned count = 0;
  if (in_session_) {
    const Return code = call_.device_count(&count);
    if (code != nvml::kSuccess) {
      problem_ = explain(code);
      end();
    }
  }
  if (!in_session_) {
    if (!problem_.empty()) report.problems.push_back(problem_);
    return report;
  }
  report.source = driver_.empty() ? "nvml" : "nvml " + driver_;
  poll_events();
  bool lost = count < most_;
  most_ = std::max(most_, count);
  for (unsigned i = 0; i < count; ++i) lost |= !read_index(i, report);
  last_ = report.gpus;
  // What the driver lists is fixed when a session begins: a lost GPU comes back in a new one.
  if (lost && readings_until_try_-- == 0) end();
  return report;
}

bool NvmlReader::load() {
  if (library_ != nullptr) return true;
  std::vector<std::string> names = {"libnvidia-ml.so.1", "libnvidia-ml.so"};
  if (options_.library) names = {*options_.library};
  std::string why;
  for (const std::string& name : names) {
    library_ = ::dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (library_ != nullptr) break;
    const char* said = ::dlerror();
    if (why.empty() && said != nullptr) why = said;
  }
  if (library_ != nullptr) {
    call_ = find_functions(library_);
    if (usable(call_)) return true;
    ::dlclose(std::exchange(library_, nullptr));
    why = "it lacks functions that every version of it has";
  }
  // No card and no library: nothing is wrong.
  const std::optional<std::string> card = nvidia_card(options_.sys_root);
  if (!options_.library && !card) return false;
  problem_ = fmt::format(
      "{}{} cannot be loaded ({}): install the NVIDIA driver with its libraries (in a container: "
      "run it with the GPUs, such as --gpus all)",
      card ? fmt::format("an NVIDIA GPU is at {}, but ", *card) : "", names.front(), why);
  return false;
}

void NvmlReader::begin() {
  problem_.clear();
  if (!load()) return;
  const Return code = call_.init();
  if (code != nvml::kSuccess) {
    problem_ = explain(code);
    return;
  }
  in_session_ = true;
  driver_ = text<nvml::kDriverBytes>(call_.driver_version);
  watch_events();
}

void NvmlReader::end() {
  if (!in_session_) return;
  in_session_ = false;
  readings_until_try_ = 0;
  if (events_ != nullptr) ask(call_.event_set_free, std::exchange(events_, nullptr));
  watched_.clear();
  last_.clear();
  call_.shutdown();
}

// Every device that can tell of its critical errors is asked to.
void NvmlReader::watch_events() {
  if (call_.event_set_wait == nullptr || call_.register_events == nullptr) return;
  if (ask(call_.event_set_create, &events_) != nvml::kSuccess) {
    events_ = nullptr;
    return;
  }
  unsigned count = 0;
  if (call_.device_count(&count) != nvml::kSuccess) return;
  for (unsigned i = 0; i < count; ++i) {
    nvml::Device device = nullptr;
    if (call_.device_by_index(i, &device) != nvml::kSuccess) continue;
    if (call_.register_events(device, nvml::kXidCriticalError, events_) != nvml::kSuccess) continue;
    watched_[device] = text<nvml::kUuidBytes>(call_.uuid, device);
  }
}

void NvmlReader::poll_events() {
  if (events_ == nullptr) return;
  // A GPU that reports errors without end must not keep this from ending.
  constexpr int kMostPerReading = 1000;
  for (int i = 0; i < kMostPerReading; ++i) {
    nvml::EventData event{};
    event.gpu_instance = nvml::kWholeGpu;
    if (call_.event_set_wait(events_, &event, 0) != nvml::kSuccess) return;
    const auto device = watched_.find(event.device);
    if (device == watched_.end() || event.type != nvml::kXidCriticalError) continue;
    ++xids_[{device->second, event.gpu_instance}][static_cast<std::uint32_t>(event.data)];
  }
}

// A slice shares what befalls the whole GPU.
std::map<std::uint32_t, std::uint64_t> NvmlReader::xids(const std::string& whole,
                                                        unsigned instance) const {
  std::map<std::uint32_t, std::uint64_t> sum;
  for (const auto& [key, counts] : xids_) {
    if (key.first != whole || (key.second != nvml::kWholeGpu && key.second != instance)) continue;
    for (const auto& [xid, count] : counts) sum[xid] += count;
  }
  return sum;
}

// Whoever was at this index in an earlier reading is what was lost: the GPU or its slices. One that
// was never seen and does not even tell its UUID has no identity to report.
void NvmlReader::lose(const Gpu& gpu, Return code, GpuReport& report) const {
  const std::string why = explain(code);
  report.problems.push_back(fmt::format("NVIDIA GPU {}: {}", gpu.index, why));
  const std::size_t before = report.gpus.size();
  for (const Gpu& last : last_) {
    if (last.index != gpu.index) continue;
    report.gpus.push_back(without_readings(last, condition_of(code), why));
  }
  if (report.gpus.size() > before || gpu.uuid.empty()) return;
  report.gpus.push_back(without_readings(gpu, condition_of(code), why));
}

// Whether it could be read at all.
bool NvmlReader::read_index(unsigned index, GpuReport& report) {
  nvml::Device handle = nullptr;
  const Return code = call_.device_by_index(index, &handle);
  Gpu gpu{.index = index, .driver = driver_};
  if (code == nvml::kSuccess) gpu.uuid = text<nvml::kUuidBytes>(call_.uuid, handle);
  unsigned mig = 0;
  unsigned pending = 0;
  const Return mig_code = ask(call_.mig_mode, handle, &mig, &pending);
  if (gpu.uuid.empty() || mig_code == nvml::kGpuIsLost) {
    lose(gpu, code == nvml::kSuccess ? nvml::kGpuIsLost : code, report);
    return false;
  }
  gpu.name = text<nvml::kNameBytes>(call_.name, handle);
  gpu.xid_errors = xids(gpu.uuid, nvml::kWholeGpu);
  nvml::PciInfo pci{};
  if (ask(call_.pci_info, handle, &pci) == nvml::kSuccess) {
    gpu.pci = fmt::format("{:04x}:{:02x}:{:02x}.0", pci.domain, pci.bus, pci.device);
  }
  if (mig_code == nvml::kSuccess && mig == nvml::kMigOn) {
    read_slices(handle, gpu, report);
    return true;
  }
  read_sensors(handle, gpu);
  report.gpus.push_back(std::move(gpu));
  return report.gpus.back().condition != GpuCondition::kLost;
}

// A slice has its own memory and processes. Temperature and throttling are the chip's and true for
// each; power is the chip's too, but would be counted once per slice by whoever adds it up.
void NvmlReader::read_slices(nvml::Device parent, const Gpu& whole, GpuReport& report) {
  Gpu chip = whole;
  read_sensors(parent, chip);
  unsigned most = 0;
  ask(call_.mig_count, parent, &most);
  const std::size_t before = report.gpus.size();
  for (unsigned i = 0; i < most; ++i) {
    nvml::Device slice = nullptr;
    if (ask(call_.mig_by_index, parent, i, &slice) != nvml::kSuccess) continue;
    Gpu gpu = whole;
    gpu.uuid = text<nvml::kUuidBytes>(call_.uuid, slice);
    if (gpu.uuid.empty()) continue;
    if (auto name = text<nvml::kNameBytes>(call_.name, slice); !name.empty()) gpu.name = name;
    gpu.mig_profile = fmt::format("{} slice {}", whole.uuid, i);
    unsigned instance = nvml::kWholeGpu;
    ask(call_.gpu_instance, slice, &instance);
    gpu.xid_errors = xids(whole.uuid, instance);
    read_sensors(slice, gpu);
    gpu.temperature_celsius = chip.temperature_celsius;
    gpu.throttle_reasons = chip.throttle_reasons;
    gpu.utilization.reset();
    gpu.power_watts.reset();
    gpu.power_limit_watts.reset();
    report.gpus.push_back(std::move(gpu));
  }
  if (report.gpus.size() > before) return;
  report.problems.push_back(
      fmt::format("{} has MIG on and no slices, so nothing can run on it: make slices with "
                  "nvidia-smi mig -cgi PROFILE -C, or switch MIG off with nvidia-smi -mig 0",
                  whole.uuid));
}

void NvmlReader::read_sensors(nvml::Device handle, Gpu& gpu) const {
  Return code = read_memory(call_, handle, gpu);
  nvml::Utilization used{};
  const Return utilization = ask(call_.utilization, handle, &used);
  if (utilization == nvml::kSuccess) gpu.utilization = used.gpu / 100.0;
  if (only_absent(code) && utilization == nvml::kGpuIsLost) code = utilization;
  if (!only_absent(code)) {
    gpu = without_readings(gpu, condition_of(code), explain(code));
    return;
  }
  unsigned value = 0;
  if (ask(call_.temperature, handle, nvml::kSensorGpu, &value) == nvml::kSuccess) {
    gpu.temperature_celsius = value;
  }
  if (ask(call_.power, handle, &value) == nvml::kSuccess) gpu.power_watts = value / 1000.0;
  if (ask(call_.power_limit, handle, &value) == nvml::kSuccess) {
    gpu.power_limit_watts = value / 1000.0;
  }
  unsigned long long reasons = 0;
  if (ask(call_.throttle_reasons, handle, &reasons) == nvml::kSuccess) {
    gpu.throttle_reasons = throttle_words(reasons);
  }
  if (!lists_wrong_processes(driver_)) gpu.processes = processes(call_, handle);
}

std::string NvmlReader::explain(Return code) const {
  switch (code) {
    case nvml::kDriverNotLoaded:
      return "the NVIDIA driver is not loaded: load it with modprobe nvidia, or reboot if it was "
             "just installed";
    case nvml::kLibRmVersionMismatch:
      return "the NVIDIA library and the loaded driver are of different versions, as after an "
             "upgrade: reboot, or unload and load the nvidia modules";
    case nvml::kNoPermission:
      return "the NVIDIA driver may not be used by this user: let it open /dev/nvidia* (groups "
             "video and render)";
    case nvml::kOperatingSystem:
      return "the operating system keeps the NVIDIA devices from this process: allow them in the "
             "container or the unit (DeviceAllow)";
    case nvml::kGpuIsLost:
      return "the GPU has fallen off the bus: see dmesg, and reboot; if it happens again, check "
             "its power, cooling and seat";
    case nvml::kResetRequired:
      return "the GPU wants a reset: stop what uses it, then nvidia-smi --gpu-reset";
    default:
      break;
  }
  const char* words = call_.error_string == nullptr ? nullptr : call_.error_string(code);
  return fmt::format("the NVIDIA driver answers with error {} ({}): see dmesg, and nvidia-smi",
                     static_cast<int>(code), words == nullptr ? "no words for it" : words);
}

}  // namespace drover::keeper
