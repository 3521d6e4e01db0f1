#include "core/device_memory.h"

#include <algorithm>

#include "base/check.h"

namespace drover::core {
namespace {

// Beside its weights a model takes its KV cache, at the usual contexts about a tenth of them, and
// buffers and the driver's own context, up to 1 GiB. An estimate that is too low is corrected by
// the first load; one that is too high would keep a model away that fits: so rather low.
constexpr double kCacheShare = 0.1;
constexpr std::uint64_t kOverhead = 1ULL << 30;

// Models whose sizes are remembered; when a fleet has more, the first by name are forgotten.
constexpr std::size_t kMaxLearned = 1024;

constexpr std::uint32_t kLooks = 2;

}  // namespace

const DeviceMemory::Listed* DeviceMemory::Books::find_listed(const ModelName& model) const {
  const auto found = std::ranges::find(listed, model, &Listed::model);
  return found == listed.end() ? nullptr : &*found;
}

const DeviceMemory::Hold* DeviceMemory::Books::find_hold(const ModelName& model) const {
  const auto found = std::ranges::find(holds, model, &Hold::model);
  return found == holds.end() ? nullptr : &*found;
}

DeviceMemory::Hold* DeviceMemory::Books::find_hold(const ModelName& model) {
  const auto found = std::ranges::find(holds, model, &Hold::model);
  return found == holds.end() ? nullptr : &*found;
}

DeviceMemory::DeviceMemory(std::span<const BackendSpec> specs) {
  books_.reserve(specs.size());
  for (const BackendSpec& spec : specs) {
    Books& books = books_.emplace_back();
    // An instance whose devices are its own business is not accounted for.
    if (spec.placement == Placement::kUnknown) continue;
    for (const std::string& gpu : spec.gpus) books.devices.push_back(device(gpu));
  }
  const auto share = [](const Books& one, const Books& other) {
    return std::ranges::find_first_of(one.devices, other.devices) != one.devices.end();
  };
  for (std::uint32_t i = 0; i < books_.size(); ++i) {
    for (std::uint32_t k = 0; k < books_.size(); ++k) {
      if (i == k || !share(books_[i], books_[k])) continue;
      books_[i].neighbours.push_back(k);
      any_shared_ = true;
    }
  }
}

std::size_t DeviceMemory::device(const std::string& uuid) {
  const auto found = std::ranges::find(devices_, uuid, &Device::uuid);
  const auto place = static_cast<std::size_t>(found - devices_.begin());
  if (place == devices_.size()) devices_.push_back({uuid, std::nullopt});
  return place;
}

// --- what is seen ---

void DeviceMemory::devices(const GpuReport& report) {
  for (Device& each : devices_) {
    const auto found = std::ranges::find(report.gpus, each.uuid, &Gpu::uuid);
    if (found == report.gpus.end() || !found->memory_total_bytes) continue;
    each.total = found->memory_total_bytes;
  }
  for (Books& books : books_) books.capacity = sum_of_devices(books);
}

void DeviceMemory::looked(BackendId backend, const Residency& residency) {
  Books& books = of(backend);
  books.listed.clear();
  for (const LoadedModel& model : residency) {
    books.listed.push_back({model.name, model.vram_bytes});
    if (model.bytes > 0) learn(backend, model.name, model.bytes);
  }
  // What is done to all of them has one order. Of two with one name the first counts, as in
  // Instance::loaded_entry().
  std::ranges::stable_sort(books.listed, {}, &Listed::model);
  const auto again = std::ranges::unique(books.listed, {}, &Listed::model);
  books.listed.erase(again.begin(), again.end());
  for (Hold& hold : books.holds) {
    hold.listed |= books.find_listed(hold.model) != nullptr;
    if (hold.users == 0 && !hold.listed) --hold.looks_left;
  }
  std::erase_if(books.holds, [](const Hold& hold) {
    return hold.users == 0 && (hold.listed || hold.looks_left == 0);
  });
}

void DeviceMemory::remember(BackendId backend, const ModelName& model, std::uint64_t bytes) {
  const bool has_place = learned_.size() < kMaxLearned || learned_.contains(model);
  if (bytes > 0 && has_place) learn(backend, model, bytes);
}

void DeviceMemory::learn(BackendId backend, const ModelName& model, std::uint64_t bytes) {
  const auto found = learned_.find(model);
  if (found == learned_.end() && learned_.size() == kMaxLearned) {
    found_last_ = nullptr;
    learned_.erase(learned_.begin());
  }
  Learned& sizes = found == learned_.end() ? learned_[model] : found->second;
  sizes.at.resize(books_.size());
  sizes.at[backend.value] = bytes;
  sizes.largest = std::ranges::max(sizes.at);
}

void DeviceMemory::emptied(BackendId backend) {
  Books& books = of(backend);
  books.listed.clear();
  std::erase_if(books.holds, [](const Hold& hold) { return hold.users == 0; });
}

// --- what is granted ---

void DeviceMemory::granted(BackendId backend, const ModelName& model, std::uint64_t need) {
  Books& books = of(backend);
  Hold* hold = books.find_hold(model);
  if (hold == nullptr) hold = &books.holds.emplace_back(Hold{.model = model});
  ++hold->users;
  hold->listed = books.find_listed(model) != nullptr;
  hold->looks_left = kLooks;
  hold->bytes = std::max(hold->bytes, need);
}

bool DeviceMemory::ended(BackendId backend, const ModelName& model) {
  Hold* const hold = of(backend).find_hold(model);
  DROVER_ASSERT(hold != nullptr && hold->users > 0);
  return --hold->users == 0;
}

// --- questions ---

const DeviceMemory::Learned* DeviceMemory::learned(const ModelName& model) const {
  if (found_last_ == nullptr || found_last_->first != model) {
    const auto found = learned_.find(model);
    if (found == learned_.end()) return nullptr;
    found_last_ = &*found;
  }
  return &found_last_->second;
}

std::uint64_t DeviceMemory::need(BackendId backend, const ModelName& model,
                                 std::uint64_t file_bytes) const {
  if (const Learned* const sizes = learned(model)) {
    const std::uint64_t here = sizes->at[backend.value];
    return here > 0 ? here : sizes->largest;
  }
  return file_bytes + static_cast<std::uint64_t>(kCacheShare * static_cast<double>(file_bytes)) +
         kOverhead;
}

std::vector<std::pair<ModelName, std::uint64_t>> DeviceMemory::sizes(BackendId backend) const {
  std::vector<std::pair<ModelName, std::uint64_t>> all;
  for (const auto& [model, sizes] : learned_) {
    if (sizes.at[backend.value] > 0) all.emplace_back(model, sizes.at[backend.value]);
  }
  return all;
}

std::optional<std::uint64_t> DeviceMemory::sum_of_devices(const Books& books) const {
  std::uint64_t sum = 0;
  for (const std::size_t device : books.devices) {
    if (!devices_[device].total) return std::nullopt;
    sum += *devices_[device].total;
  }
  if (books.devices.empty()) return std::nullopt;
  return sum;
}

bool DeviceMemory::shares(BackendId one, BackendId other) const {
  const std::vector<std::uint32_t>& neighbours = of(one).neighbours;
  return std::ranges::find(neighbours, other.value) != neighbours.end();
}

bool DeviceMemory::holds(BackendId backend, const ModelName& model) const {
  return of(backend).find_listed(model) != nullptr || of(backend).find_hold(model) != nullptr;
}

std::uint64_t DeviceMemory::held(BackendId backend) const {
  const Books& books = of(backend);
  std::uint64_t sum = 0;
  for (const Listed& each : books.listed) sum += each.bytes;
  for (const Hold& hold : books.holds) {
    if (books.find_listed(hold.model) == nullptr) sum += hold.bytes;
  }
  return sum;
}

bool DeviceMemory::has_room(BackendId backend, std::uint64_t need) const {
  const Books& books = of(backend);
  for (const std::size_t device : books.devices) {
    const std::optional<std::uint64_t> total = devices_[device].total;
    if (!total) continue;
    std::uint64_t taken = share(backend, need, *total);
    for (const std::uint32_t i : books.neighbours) {
      const std::vector<std::size_t>& theirs = books_[i].devices;
      if (std::ranges::find(theirs, device) == theirs.end()) continue;
      taken += share(BackendId{i}, held(BackendId{i}), *total);
    }
    if (taken > *total) return false;
  }
  return true;
}

std::uint64_t DeviceMemory::share(BackendId backend, std::uint64_t bytes,
                                  std::uint64_t device_total) const {
  const std::optional<std::uint64_t> all = capacity(backend);
  if (!all || *all == 0) return 0;
  const double part = static_cast<double>(device_total) / static_cast<double>(*all);
  return static_cast<std::uint64_t>(static_cast<double>(bytes) * part);
}

std::vector<ModelName> DeviceMemory::idle_models(BackendId backend) const {
  std::vector<ModelName> idle;
  const Books& books = of(backend);
  for (const Listed& each : books.listed) {
    const Hold* const hold = books.find_hold(each.model);
    if (hold == nullptr || hold->users == 0) idle.push_back(each.model);
  }
  return idle;
}

std::uint32_t DeviceMemory::users(BackendId backend) const {
  std::uint32_t sum = 0;
  for (const Hold& hold : of(backend).holds) sum += hold.users;
  return sum;
}

}  // namespace drover::core
