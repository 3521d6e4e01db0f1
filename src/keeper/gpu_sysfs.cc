#include "keeper/gpu_sysfs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>
#include <tuple>
#include <vector>

namespace drover::keeper {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kAmd = "0x1002";
constexpr std::string_view kIntel = "0x8086";
constexpr std::string_view kNvidia = "0x10de";
// AMD's integrated GPUs report what the firmware holds back as memory of their own, most often
// 512 MiB. A gibibyte is more than that and less than any card that can hold a model.
constexpr std::uint64_t kLeastOwnMemory = 1ULL << 30;

// The names in a folder, sorted; none when it cannot be read. sysfs and /proc change while they are
// read, so nothing here throws and every file may be gone already.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// Such files are a line or a page; two pages are a bound for what is none of them.
std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(8 * 1024, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return text;
}

std::string line_of(const fs::path& path) { return std::string(trim(contents(path))); }

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> number_in(const fs::path& path) {
  return parse_number<std::uint64_t>(line_of(path));
}

// A file that counts in thousandths or millionths, as a reading in whole units.
std::optional<double> scaled(const fs::path& path, double unit) {
  const auto value = parse_number<std::int64_t>(line_of(path));
  if (!value) return std::nullopt;
  return static_cast<double>(*value) * unit;
}

std::optional<double> first_of(std::optional<double> a, std::optional<double> b) {
  return a ? a : b;
}

// "card0", and not "card0-DP-1", which is a socket for a screen.
std::optional<std::uint32_t> card_number(std::string_view name) {
  if (!name.starts_with("card")) return std::nullopt;
  return parse_number<std::uint32_t>(name.substr(4));
}

std::string link_target(const fs::path& link) {
  std::error_code error;
  return fs::read_symlink(link, error).filename().string();
}

void read_hwmon(const fs::path& device, Gpu& gpu) {
  for (const std::string& name : names_in(device / "hwmon")) {
    const fs::path sensors = device / "hwmon" / name;
    gpu.temperature_celsius =
        first_of(gpu.temperature_celsius, scaled(sensors / "temp1_input", 1e-3));
    // Intel's xe numbers its sensors from 2: the package.
    gpu.temperature_celsius =
        first_of(gpu.temperature_celsius, scaled(sensors / "temp2_input", 1e-3));
    gpu.power_watts = first_of(gpu.power_watts, scaled(sensors / "power1_average", 1e-6));
    gpu.power_watts = first_of(gpu.power_watts, scaled(sensors / "power1_input", 1e-6));
    gpu.power_limit_watts = first_of(gpu.power_limit_watts, scaled(sensors / "power1_cap", 1e-6));
    gpu.power_limit_watts = first_of(gpu.power_limit_watts, scaled(sensors / "power1_max", 1e-6));
  }
}

// The driver answers "device or resource busy" while the GPU sleeps or resets: then the reading is
// absent this time.
bool read_amd(const fs::path& device, Gpu& gpu) {
  gpu.memory_total_bytes = number_in(device / "mem_info_vram_total");
  if (gpu.memory_total_bytes.value_or(0) < kLeastOwnMemory) return false;
  gpu.memory_used_bytes = number_in(device / "mem_info_vram_used");
  const auto busy = number_in(device / "gpu_busy_percent");
  if (busy && *busy <= 100) gpu.utilization = static_cast<double>(*busy) / 100.0;
  // The form that ROCR_VISIBLE_DEVICES takes.
  if (const std::string id = line_of(device / "unique_id"); !id.empty()) gpu.uuid = "GPU-" + id;
  gpu.name = line_of(device / "product_name");
  return true;
}

// An integrated GPU of Intel is always at 0000:00:02.0. How busy the others are, their files do not
// say in one reading; total memory only some drivers tell; used memory is what processes hold.
bool read_intel(const fs::path& card, const fs::path& device, Gpu& gpu) {
  if (gpu.pci == "0000:00:02.0") return false;
  gpu.memory_total_bytes = number_in(card / "lmem_total_bytes");
  if (!gpu.memory_total_bytes) {
    gpu.memory_total_bytes = number_in(device / "tile0" / "physical_vram_size_bytes");
  }
  return true;
}

std::optional<Gpu> read_card(const fs::path& card, std::uint32_t number) {
  const fs::path device = card / "device";
  const std::string vendor = line_of(device / "vendor");
  if (vendor != kAmd && vendor != kIntel) return std::nullopt;
  Gpu gpu{.index = number};
  gpu.vendor = vendor == kAmd ? GpuVendor::kAmd : GpuVendor::kIntel;
  gpu.pci = link_target(device);
  gpu.driver = link_target(device / "driver");
  gpu.uuid = gpu.pci;
  const bool own_memory = vendor == kAmd ? read_amd(device, gpu) : read_intel(card, device, gpu);
  if (!own_memory) return std::nullopt;
  if (gpu.name.empty()) {
    // "0x744c"; the list of names for such numbers is large, changes monthly, and is not here.
    const std::string model = line_of(device / "device");
    gpu.name = fmt::format("{} GPU {}:{}", vendor == kAmd ? "AMD" : "Intel", vendor.substr(2),
                           model.substr(std::min<std::size_t>(2, model.size())));
  }
  read_hwmon(device, gpu);
  return gpu;
}

// Bytes by process, for each PCI address.
using Holders = std::map<std::string, std::map<std::int64_t, std::uint64_t>>;

void add_descriptors(const fs::path& process, std::int64_t pid, Holders& holders) {
  std::set<std::tuple<std::string, std::uint64_t>> counted;
  for (const std::string& fd : names_in(process / "fd")) {
    // A machine has tens of thousands of open files, and few of them are GPUs.
    std::error_code error;
    const std::string file = fs::read_symlink(process / "fd" / fd, error).string();
    if (!file.starts_with("/dev/dri/")) continue;
    const auto client = parse_fdinfo(contents(process / "fdinfo" / fd));
    if (!client || client->vram_bytes == 0) continue;
    if (!counted.insert({client->pdev, client->client}).second) continue;
    holders[client->pdev][pid] += client->vram_bytes;
  }
}

// What graphics and Vulkan hold is written at each open file of a process. Whether any process of
// somebody else may be looked at is a matter of rights; one's own always may.
Holders read_holders(const std::string& proc_root) {
  Holders holders;
  for (const std::string& name : names_in(proc_root)) {
    const auto pid = parse_number<std::int64_t>(name);
    if (pid) add_descriptors(fs::path(proc_root) / name, *pid, holders);
  }
  return holders;
}

// What ROCm's programs hold has a folder for each process: kfd/kfd/proc/PID/vram_GPUID. Which PCI
// address a GPUID has, the topology tells: location_id is bus, device and function in 16 bits.
std::map<std::string, std::string> kfd_devices(const fs::path& kfd) {
  std::map<std::string, std::string> pci_of;
  for (const std::string& node : names_in(kfd / "topology" / "nodes")) {
    const fs::path folder = kfd / "topology" / "nodes" / node;
    const std::string id = line_of(folder / "gpu_id");
    const std::string properties = contents(folder / "properties");
    const auto property = [&properties](std::string_view key) {
      const std::size_t at = ("\n" + properties).find(fmt::format("\n{} ", key));
      if (at == std::string::npos) return std::uint64_t{0};
      const std::string_view rest = std::string_view(properties).substr(at + key.size() + 1);
      return parse_number<std::uint64_t>(trim(rest.substr(0, rest.find('\n')))).value_or(0);
    };
    const std::uint64_t location = property("location_id");
    if (id.empty() || id == "0") continue;
    pci_of[id] = fmt::format("{:04x}:{:02x}:{:02x}.{}", property("domain"), location >> 8 & 0xFF,
                             location >> 3 & 0x1F, location & 7);
  }
  return pci_of;
}

void add_rocm(const std::string& sys_root, Holders& holders) {
  const fs::path kfd = fs::path(sys_root) / "class/kfd/kfd";
  const auto pci_of = kfd_devices(kfd);
  for (const std::string& name : names_in(kfd / "proc")) {
    const auto pid = parse_number<std::int64_t>(name);
    if (!pid) continue;
    for (const auto& [id, pci] : pci_of) {
      const auto bytes = number_in(kfd / "proc" / name / ("vram_" + id));
      // The same memory may also stand at the process's open files: the larger number is the whole.
      if (!bytes || *bytes == 0) continue;
      std::uint64_t& held = holders[pci][*pid];
      held = std::max(held, *bytes);
    }
  }
}

void add_processes(const Holders& holders, Gpu& gpu) {
  gpu.processes.emplace();
  const auto here = holders.find(gpu.pci);
  if (here == holders.end()) return;
  std::uint64_t sum = 0;
  for (const auto& [pid, bytes] : here->second) {
    gpu.processes->push_back({pid, bytes});
    sum += bytes;
  }
  if (!gpu.memory_used_bytes) gpu.memory_used_bytes = sum;
}

// "123 KiB"; without a unit they are bytes.
std::uint64_t bytes_of(std::string_view text) {
  const std::size_t space = text.find(' ');
  const std::uint64_t number = parse_number<std::uint64_t>(text.substr(0, space)).value_or(0);
  const std::string_view unit =
      space == std::string_view::npos ? std::string_view() : trim(text.substr(space));
  const unsigned shift = unit == "KiB" ? 10 : unit == "MiB" ? 20 : unit == "GiB" ? 30 : 0;
  return number > (UINT64_MAX >> shift) ? 0 : number << shift;
}

// Newer drivers say what is resident, older ones only what belongs to the client.
bool is_memory(std::string_view key) {
  constexpr std::array<std::string_view, 3> kKeys = {"drm-memory-vram",      // amdgpu
                                                     "drm-resident-local0",  // i915
                                                     "drm-resident-vram0"};  // xe
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

}  // namespace

std::optional<DrmClient> parse_fdinfo(std::string_view text) {
  DrmClient client;
  bool has_memory = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, colon);
    const std::string_view value = trim(line.substr(colon + 1));
    if (key == "drm-pdev") client.pdev = std::string(value);
    if (key == "drm-client-id") client.client = parse_number<std::uint64_t>(value).value_or(0);
    if (is_memory(key)) {
      client.vram_bytes = bytes_of(value);
      has_memory = true;
    }
  }
  if (client.pdev.empty() || !has_memory) return std::nullopt;
  return client;
}

std::optional<std::string> nvidia_card(const std::string& sys_root) {
  const fs::path bus = fs::path(sys_root) / "bus/pci/devices";
  for (const std::string& address : names_in(bus)) {
    if (line_of(bus / address / "vendor") != kNvidia) continue;
    // Class 03: display controllers. A card has sound and USB functions too.
    if (line_of(bus / address / "class").starts_with("0x03")) return address;
  }
  return std::nullopt;
}

GpuReport SysfsReader::read() {
  GpuReport report;
  const fs::path cards = fs::path(sys_root_) / "class/drm";
  for (const std::string& name : names_in(cards)) {
    const auto number = card_number(name);
    if (!number) continue;
    if (auto gpu = read_card(cards / name, *number)) report.gpus.push_back(*std::move(gpu));
  }
  if (report.gpus.empty()) return report;
  report.source = "sysfs";
  Holders holders = read_holders(proc_root_);
  add_rocm(sys_root_, holders);
  for (Gpu& gpu : report.gpus) add_processes(holders, gpu);
  return report;
}

}  // namespace drover::keeper
