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

// Sizes remembered per instance; when a fleet has more models, the first by name are forgotten.
constexpr std::size_t kMaxLearned = 1024;

constexpr std::uint32_t kLooks = 2;

}  // namespace

DeviceMemory::DeviceMemory(std::span<const BackendSpec> specs) {
  books_.reserve(specs.size());
  for (const BackendSpec& spec : specs) {
    books_.emplace_back();
    // An instance whose devices are its own business is not accounted for.
    if (spec.placement != Placement::kUnknown) books_.back().gpus = spec.gpus;
  }
  const auto share = [](const Books& one, const Books& other) {
    return std::ranges::any_of(one.gpus, [&](const std::string& gpu) {
      return std::ranges::find(other.gpus, gpu) != other.gpus.end();
    });
  };
  for (std::uint32_t i = 0; i < books_.size(); ++i) {
    for (std::uint32_t k = 0; k < books_.size(); ++k) {
      if (i == k || !share(books_[i], books_[k])) continue;
      books_[i].neighbours.push_back(k);
      any_shared_ = true;
    }
  }
}

// --- what is seen ---

void DeviceMemory::devices(const GpuReport& report) {
  for (const Gpu& gpu : report.gpus) {
    if (gpu.memory_total_bytes) totals_[gpu.uuid] = *gpu.memory_total_bytes;
  }
  for (Books& books : books_) books.capacity = sum_of_devices(books);
}

void DeviceMemory::looked(BackendId backend, const Residency& residency) {
  Books& books = of(backend);
  books.listed.clear();
  for (const LoadedModel& model : residency) {
    books.listed[model.name] = model.vram_bytes;
    const auto known = books.learned.find(model.name);
    if (known != books.learned.end() && known->second == model.bytes) continue;
    if (books.learned.size() == kMaxLearned && known == books.learned.end()) {
      const ModelName forgotten = books.learned.begin()->first;
      books.learned.erase(books.learned.begin());
      remember_largest(forgotten);
    }
    books.learned[model.name] = model.bytes;
    remember_largest(model.name);
  }
  for (auto each = books.holds.begin(); each != books.holds.end();) {
    Hold& hold = each->second;
    hold.listed |= books.listed.contains(each->first);
    const bool over = hold.users == 0 && (hold.listed || --hold.looks_left == 0);
    each = over ? books.holds.erase(each) : std::next(each);
  }
}

void DeviceMemory::remember(BackendId backend, const ModelName& model, std::uint64_t bytes) {
  Books& books = of(backend);
  if (bytes == 0 || books.learned.size() >= kMaxLearned) return;
  books.learned[model] = bytes;
  remember_largest(model);
}

void DeviceMemory::remember_largest(const ModelName& model) {
  std::uint64_t largest = 0;
  for (const Books& books : books_) {
    const auto found = books.learned.find(model);
    if (found != books.learned.end()) largest = std::max(largest, found->second);
  }
  if (largest > 0) largest_[model] = largest;
  if (largest == 0) largest_.erase(model);
}

void DeviceMemory::emptied(BackendId backend) {
  Books& books = of(backend);
  books.listed.clear();
  std::erase_if(books.holds, [](const auto& each) { return each.second.users == 0; });
}

// --- what is granted ---

void DeviceMemory::granted(BackendId backend, const ModelName& model, std::uint64_t need) {
  Hold& hold = of(backend).holds[model];
  ++hold.users;
  hold.listed = of(backend).listed.contains(model);
  hold.looks_left = kLooks;
  hold.bytes = std::max(hold.bytes, need);
}

bool DeviceMemory::ended(BackendId backend, const ModelName& model) {
  const auto found = of(backend).holds.find(model);
  DROVER_ASSERT(found != of(backend).holds.end() && found->second.users > 0);
  return --found->second.users == 0;
}

// --- questions ---

std::uint64_t DeviceMemory::need(BackendId backend, const ModelName& model,
                                 std::uint64_t file_bytes) const {
  const auto here = of(backend).learned.find(model);
  if (here != of(backend).learned.end()) return here->second;
  const auto anywhere = largest_.find(model);
  if (anywhere != largest_.end()) return anywhere->second;
  return file_bytes + static_cast<std::uint64_t>(kCacheShare * static_cast<double>(file_bytes)) +
         kOverhead;
}

std::optional<std::uint64_t> DeviceMemory::sum_of_devices(const Books& books) const {
  std::uint64_t sum = 0;
  for (const std::string& gpu : books.gpus) {
    const auto total = totals_.find(gpu);
    if (total == totals_.end()) return std::nullopt;
    sum += total->second;
  }
  if (books.gpus.empty()) return std::nullopt;
  return sum;
}

bool DeviceMemory::shares(BackendId one, BackendId other) const {
  const std::vector<std::uint32_t>& neighbours = of(one).neighbours;
  return std::ranges::find(neighbours, other.value) != neighbours.end();
}

bool DeviceMemory::holds(BackendId backend, const ModelName& model) const {
  return of(backend).listed.contains(model) || of(backend).holds.contains(model);
}

std::uint64_t DeviceMemory::held(BackendId backend) const {
  const Books& books = of(backend);
  std::uint64_t sum = 0;
  for (const auto& [model, bytes] : books.listed) sum += bytes;
  for (const auto& [model, hold] : books.holds) {
    if (!books.listed.contains(model)) sum += hold.bytes;
  }
  return sum;
}

bool DeviceMemory::has_room(BackendId backend, std::uint64_t need) const {
  const Books& books = of(backend);
  for (const std::string& gpu : books.gpus) {
    const auto total = totals_.find(gpu);
    if (total == totals_.end()) continue;
    std::uint64_t taken = share(backend, need, total->second);
    for (const std::uint32_t i : books.neighbours) {
      const std::vector<std::string>& theirs = books_[i].gpus;
      if (std::ranges::find(theirs, gpu) == theirs.end()) continue;
      taken += share(BackendId{i}, held(BackendId{i}), total->second);
    }
    if (taken > total->second) return false;
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
  for (const auto& [model, bytes] : of(backend).listed) {
    const auto hold = of(backend).holds.find(model);
    if (hold == of(backend).holds.end() || hold->second.users == 0) idle.push_back(model);
  }
  return idle;
}

std::uint32_t DeviceMemory::users(BackendId backend) const {
  std::uint32_t sum = 0;
  for (const auto& [model, hold] : of(backend).holds) sum += hold.users;
  return sum;
}

}  // namespace drover::core
