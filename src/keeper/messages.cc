#include "keeper/messages.h"

#include <bit>
#include <cstring>
#include <type_traits>

namespace drover::keeper {
namespace {

// One description of each type serves both directions: `visit(io, value)` names the members in
// order; a Writer appends them, a Reader fills them in. Numbers are 8 bytes, little end first.
static_assert(std::endian::native == std::endian::little);

class Writer {
 public:
  void number(std::uint64_t value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void string(const std::string& value) {
    number(value.size());
    text_ += value;
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  std::uint64_t number() {
    std::uint64_t value = 0;
    if (rest_.size() < sizeof(value)) return fail();
    std::memcpy(&value, rest_.data(), sizeof(value));
    rest_.remove_prefix(sizeof(value));
    return value;
  }
  std::string string() {
    const std::uint64_t size = number();
    if (size > rest_.size()) return fail(), std::string();
    std::string value(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return value;
  }
  // Entries of a list take at least a byte each, so a count beyond what is left is a lie.
  std::size_t count() {
    const std::uint64_t value = number();
    return value <= rest_.size() ? static_cast<std::size_t>(value) : fail();
  }
  std::uint64_t fail() {
    fine_ = false;
    rest_ = {};
    return 0;
  }
  bool fine() const { return fine_; }
  bool whole() const { return fine_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool fine_ = true;
};

// --- the two directions of every shape ---

template <class T>
  requires std::is_integral_v<T> || std::is_enum_v<T>
void io(Writer& out, const T& value) {
  out.number(static_cast<std::uint64_t>(value));
}
template <class T>
  requires std::is_integral_v<T>
void io(Reader& in, T& value) {
  const std::uint64_t raw = in.number();
  value = static_cast<T>(raw);
  if (static_cast<std::uint64_t>(value) != raw) in.fail();
}
// Enumerations name their last value, so that no other number gets in.
template <class T>
  requires std::is_enum_v<T>
void io_enum(Reader& in, T& value, T last) {
  const std::uint64_t raw = in.number();
  if (raw > static_cast<std::uint64_t>(last)) in.fail();
  value = in.fine() ? static_cast<T>(raw) : T{};
}
template <class T>
void io_enum(Writer& out, const T& value, T) {
  io(out, value);
}
void io(Writer& out, const double& value) { out.number(std::bit_cast<std::uint64_t>(value)); }
void io(Reader& in, double& value) { value = std::bit_cast<double>(in.number()); }
void io(Writer& out, const std::string& value) { out.string(value); }
void io(Reader& in, std::string& value) { value = in.string(); }
void io(Writer& out, const Duration& value) {
  out.number(static_cast<std::uint64_t>(value.count()));
}
void io(Reader& in, Duration& value) { value = Duration(static_cast<Duration::rep>(in.number())); }

template <class T>
void io(Writer& out, const std::optional<T>& value);
template <class T>
void io(Reader& in, std::optional<T>& value);
template <class T>
void io(Writer& out, const std::vector<T>& list);
template <class T>
void io(Reader& in, std::vector<T>& list);

// --- the types, members in order ---

template <class Io, class T>
concept Speaks = std::is_same_v<Io, Writer> || std::is_same_v<Io, Reader>;

void members(auto& s, auto& v, const GpuProcess*) {
  io(s, v.pid);
  io(s, v.memory_bytes);
}
void members(auto& s, auto& v, const Gpu*) {
  io(s, v.index);
  io(s, v.uuid);
  io(s, v.name);
  io_enum(s, v.vendor, GpuVendor::kIntel);
  io(s, v.pci);
  io(s, v.driver);
  io(s, v.mig_profile);
  io_enum(s, v.condition, GpuCondition::kFailed);
  io(s, v.detail);
  io(s, v.memory_total_bytes);
  io(s, v.memory_used_bytes);
  io(s, v.utilization);
  io(s, v.temperature_celsius);
  io(s, v.power_watts);
  io(s, v.power_limit_watts);
  io(s, v.throttle_reasons);
  io(s, v.xid_errors);
  io(s, v.processes);
}
void members(auto& s, auto& v, const GpuReport*) {
  io(s, v.source);
  io(s, v.gpus);
  io(s, v.problems);
}
void members(auto& s, auto& v, const InstanceProcess*) {
  io_enum(s, v.state, ProcessState::kQuarantined);
  io(s, v.reason);
  io(s, v.pid);
  io(s, v.starts);
  io(s, v.processes);
  io(s, v.cpu);
  io(s, v.rss_bytes);
  io(s, v.open_files);
  io(s, v.pinned_well);
  io(s, v.pinning_detail);
}
void members(auto& s, auto& v, const config::FileText*) {
  io(s, v.name);
  io(s, v.text);
}
void members(auto& s, auto& v, const config::Setting*) {
  io(s, v.source);
  io(s, v.key);
  io(s, v.value);
}
void members(auto& s, auto& v, const config::HostPort*) {
  io(s, v.host);
  io(s, v.port);
}
void members(auto& s, auto& v, const SupervisedInstance*) {
  io(s, v.name);
  io(s, v.url);
  io(s, v.gpus);
  io(s, v.spanning);
  io(s, v.parallel);
}
void members(auto& s, auto& v, const Welcome*) {
  io(s, v.file);
  io(s, v.settings);
  io(s, v.foreign);
  io(s, v.supervised);
  io(s, v.greeting);
}
void members(auto& s, auto& v, const Gpus*) { io(s, v.report); }
void members(auto& s, auto& v, const Process*) {
  io(s, v.instance);
  io(s, v.process);
}
void members(auto&, auto&, const Ready*) {}
void members(auto& s, auto& v, const Served*) { io(s, v.instance); }
void members(auto& s, auto& v, const Restart*) {
  io(s, v.instance);
  io_enum(s, v.kind, RestartKind::kFault);
  io(s, v.reason);
}

template <class T>
  requires std::is_class_v<T>
void io(Writer& out, const T& value) {
  members(out, value, static_cast<const T*>(nullptr));
}
template <class T>
  requires std::is_class_v<T>
void io(Reader& in, T& value) {
  members(in, value, static_cast<const T*>(nullptr));
}

void io(Writer& out, const std::map<std::uint32_t, std::uint64_t>& counts) {
  io(out, counts.size());
  for (const auto& [key, count] : counts) {
    io(out, key);
    io(out, count);
  }
}
void io(Reader& in, std::map<std::uint32_t, std::uint64_t>& counts) {
  for (std::size_t left = in.count(); left > 0 && in.fine(); --left) {
    std::uint32_t key = 0;
    io(in, key);
    io(in, counts[key]);
  }
}

template <class T>
void io(Writer& out, const std::optional<T>& value) {
  io(out, value.has_value());
  if (value) io(out, *value);
}
template <class T>
void io(Reader& in, std::optional<T>& value) {
  bool present = false;
  io(in, present);
  if (present && in.fine()) io(in, value.emplace());
}
template <class T>
void io(Writer& out, const std::vector<T>& list) {
  io(out, list.size());
  for (const T& each : list) io(out, each);
}
template <class T>
void io(Reader& in, std::vector<T>& list) {
  for (std::size_t left = in.count(); left > 0 && in.fine(); --left) io(in, list.emplace_back());
}

// --- messages ---

constexpr std::size_t kLengthBytes = 8;

template <std::size_t Index = 0>
std::optional<Message> read_as(std::uint64_t kind, Reader& in) {
  if constexpr (Index < std::variant_size_v<Message>) {
    if (kind != Index) return read_as<Index + 1>(kind, in);
    std::variant_alternative_t<Index, Message> value;
    io(in, value);
    if (in.whole()) return Message(std::move(value));
  }
  return std::nullopt;
}

Error malformed(const char* what) {
  return {ErrorKind::kMalformed, Origin::kSelf, Retry::kNever, what};
}

}  // namespace

std::string encode(const Message& message) {
  Writer body;
  body.number(message.index());
  std::visit([&body](const auto& value) { io(body, value); }, message);
  const std::string text = body.take();
  Writer whole;
  whole.string(text);
  return whole.take();
}

Result<std::optional<Message>> MessageReader::next() {
  if (buffer_.size() < kLengthBytes) return std::optional<Message>();
  const std::uint64_t size = Reader(buffer_).number();
  if (size > kLargestMessage) return malformed("a message of keeper or gateway is too long");
  if (buffer_.size() - kLengthBytes < size) return std::optional<Message>();
  Reader in(std::string_view(buffer_).substr(kLengthBytes, size));
  const std::uint64_t kind = in.number();
  std::optional<Message> message = read_as(kind, in);
  if (!message) return malformed("a message of keeper or gateway cannot be read");
  buffer_.erase(0, kLengthBytes + size);
  return message;
}

}  // namespace drover::keeper
