#pragma once
// The part of NVML that is used here: numbers, layouts and signatures as NVIDIA's reference of the
// library documents them. Declared here because the library comes with the driver, not with the
// machine that builds drover; it is loaded at run time.
//
// Layouts are an ABI: the sizes below are what every published version of the library has.

#include <cstdint>

namespace drover::keeper::nvml {

using Device = struct DeviceTag*;  // opaque
using EventSet = struct EventSetTag*;

// nvmlReturn_t; numbers that nobody asks about are left out.
enum Return : int {
  kSuccess = 0,
  kUninitialized = 1,
  kNotSupported = 3,
  kNoPermission = 4,
  kNotFound = 6,
  kInsufficientSize = 7,
  kDriverNotLoaded = 9,
  kTimeout = 10,
  kFunctionNotFound = 13,
  kGpuIsLost = 15,
  kResetRequired = 16,
  kOperatingSystem = 17,
  kLibRmVersionMismatch = 18,
};

inline constexpr unsigned kUuidBytes = 96;  // NVML_DEVICE_UUID_V2_BUFFER_SIZE
inline constexpr unsigned kNameBytes = 96;  // NVML_DEVICE_NAME_V2_BUFFER_SIZE
inline constexpr unsigned kDriverBytes = 80;
inline constexpr unsigned kSensorGpu = 0;  // NVML_TEMPERATURE_GPU
inline constexpr unsigned kMigOn = 1;
inline constexpr unsigned kWholeGpu = 0xFFFFFFFF;        // no GPU instance: the event is the GPU's
inline constexpr std::uint64_t kNotAvailable = ~0ULL;    // NVML_VALUE_NOT_AVAILABLE
inline constexpr std::uint64_t kXidCriticalError = 0x8;  // nvmlEventTypeXidCriticalError

// nvmlPciInfo_t. Older versions end earlier, and agree on the first four fields.
struct PciInfo {
  char bus_id_legacy[16];
  unsigned domain;
  unsigned bus;
  unsigned device;
  unsigned pci_device_id;
  unsigned pci_subsystem_id;
  char bus_id[32];
};
static_assert(sizeof(PciInfo) == 68);

struct Memory {  // nvmlMemory_t: here `used` includes what the driver reserves
  std::uint64_t total;
  std::uint64_t free;
  std::uint64_t used;
};
struct MemoryV2 {  // nvmlMemory_v2_t: what nvidia-smi shows
  unsigned version;
  std::uint64_t total;
  std::uint64_t reserved;
  std::uint64_t free;
  std::uint64_t used;
};
static_assert(sizeof(MemoryV2) == 40);
inline constexpr unsigned kMemoryV2 = sizeof(MemoryV2) | (2U << 24);

struct Utilization {  // per cent
  unsigned gpu;
  unsigned memory;
};

struct ProcessV1 {
  unsigned pid;
  std::uint64_t used_bytes;
};
static_assert(sizeof(ProcessV1) == 16);
struct ProcessV2 {  // of the functions _v2 and _v3
  unsigned pid;
  std::uint64_t used_bytes;
  unsigned gpu_instance;
  unsigned compute_instance;
};
static_assert(sizeof(ProcessV2) == 24);

// nvmlEventData_t. The first version ends after `data`.
struct EventData {
  Device device;
  std::uint64_t type;
  std::uint64_t data;  // the XID
  unsigned gpu_instance;
  unsigned compute_instance;
};
static_assert(sizeof(EventData) == 32);

// Functions as found in the library that was loaded, newest version first; null: it has none.
struct Functions {
  Return (*init)();
  Return (*shutdown)();
  const char* (*error_string)(Return);
  Return (*driver_version)(char*, unsigned);
  Return (*device_count)(unsigned*);
  Return (*device_by_index)(unsigned, Device*);
  Return (*uuid)(Device, char*, unsigned);
  Return (*name)(Device, char*, unsigned);
  Return (*pci_info)(Device, PciInfo*);
  Return (*memory)(Device, Memory*);
  Return (*memory_v2)(Device, MemoryV2*);
  Return (*utilization)(Device, Utilization*);
  Return (*temperature)(Device, unsigned, unsigned*);
  Return (*power)(Device, unsigned*);        // milliwatts
  Return (*power_limit)(Device, unsigned*);  // milliwatts
  Return (*throttle_reasons)(Device, unsigned long long*);
  Return (*compute_v1)(Device, unsigned*, ProcessV1*);
  Return (*compute_v2)(Device, unsigned*, ProcessV2*);
  Return (*graphics_v1)(Device, unsigned*, ProcessV1*);
  Return (*graphics_v2)(Device, unsigned*, ProcessV2*);
  Return (*mig_mode)(Device, unsigned*, unsigned*);
  Return (*mig_count)(Device, unsigned*);
  Return (*mig_by_index)(Device, unsigned, Device*);
  Return (*gpu_instance)(Device, unsigned*);
  Return (*event_set_create)(EventSet*);
  Return (*event_set_free)(EventSet);
  Return (*register_events)(Device, unsigned long long, EventSet);
  Return (*event_set_wait)(EventSet, EventData*, unsigned);
};

}  // namespace drover::keeper::nvml
