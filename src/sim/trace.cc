#include "sim/trace.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <unordered_map>

#include <fmt/format.h>

namespace drover::sim {
namespace {

constexpr std::uint32_t kBlockTokens = 512;  // of one of Mooncake's hashes

Error wrong(std::size_t line, std::string_view what) {
  return {ErrorKind::kConfig, Origin::kClient, Retry::kNever,
          fmt::format("line {}: {}", line, what)};
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}
std::optional<std::uint32_t> count(std::string_view text) {
  const std::optional<double> value = number(text);
  if (!value || *value < 0 || *value > 1e9) return std::nullopt;
  return static_cast<std::uint32_t>(*value);
}

// Seconds since 1970 of "2023-11-16 18:17:03.97996", with T or a blank; zones are not looked at,
// because only differences count.
std::optional<double> civil_time(std::string_view text) {
  if (text.size() < 19 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  const auto year = count(text.substr(0, 4)), month = count(text.substr(5, 2)),
             day = count(text.substr(8, 2)), hour = count(text.substr(11, 2)),
             minute = count(text.substr(14, 2));
  std::string_view rest = text.substr(17);
  const auto second = number(rest.substr(0, rest.find_first_not_of("0123456789.")));
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(*month), std::chrono::day(*day)};
  if (!date.ok()) return std::nullopt;
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return 86400.0 * days + 3600.0 * *hour + 60.0 * *minute + *second;
}

// The text of a field of a flat JSON object: without quotes, or the number, or the array.
std::optional<std::string_view> field(std::string_view line, std::string_view key) {
  const std::string wanted = fmt::format("\"{}\":", key);
  const std::size_t found = line.find(wanted);
  if (found == std::string_view::npos) return std::nullopt;
  std::string_view rest = line.substr(found + wanted.size());
  rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(' ')));
  if (rest.empty()) return std::nullopt;
  const char closing = rest.front() == '"' ? '"' : rest.front() == '[' ? ']' : ',';
  if (closing != ',') rest.remove_prefix(1);
  const std::size_t end = closing == ',' ? rest.find_first_of(",} ") : rest.find(closing);
  if (end == std::string_view::npos) return std::nullopt;
  return rest.substr(0, end);
}

std::vector<std::string_view> cells(std::string_view line) {
  std::vector<std::string_view> all;
  for (;;) {
    const std::size_t comma = line.find(',');
    all.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return all;
    line.remove_prefix(comma + 1);
  }
}

// What one kind of trace looks like. read() returns false for a line that has nothing to say.
class Reader {
 public:
  Reader() = default;
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  virtual ~Reader() = default;
  virtual std::string_view kind() const = 0;
  // Absent: the line is no such line.
  struct Raw {
    TraceLine line;
    double at = 0;
    std::string_view model, tenant;
    bool counts = true;
  };
  virtual std::optional<Raw> read(std::string_view line) = 0;
};

class CsvReader : public Reader {
 public:
  CsvReader(std::string_view kind, std::string_view header, std::string_view time,
            std::string_view prompt, std::string_view output)
      : kind_(kind), header_(cells(header)) {
    time_ = column(time);
    prompt_ = column(prompt);
    output_ = column(output);
    model_ = column("Model");
  }
  bool fits() const { return time_ && prompt_ && output_; }
  std::string_view kind() const override { return kind_; }
  std::optional<Raw> read(std::string_view text) override {
    const std::vector<std::string_view> row = cells(text);
    if (row.size() < header_.size()) return std::nullopt;
    const auto at = number(row[*time_]) ? number(row[*time_]) : civil_time(row[*time_]);
    const auto prompt = count(row[*prompt_]);
    const auto output = count(row[*output_]);
    if (!at || !prompt || !output) return std::nullopt;
    Raw raw{{.prompt = *prompt, .output = *output}, *at, {}, {}, *output > 0};
    if (model_) raw.model = row[*model_];
    return raw;
  }

 private:
  std::optional<std::size_t> column(std::string_view name) const {
    const auto found = std::ranges::find(header_, name);
    if (found == header_.end()) return std::nullopt;
    return static_cast<std::size_t>(found - header_.begin());
  }
  std::string_view kind_;
  std::vector<std::string_view> header_;
  std::optional<std::size_t> time_, prompt_, output_, model_;
};

// A hash stands for a block and all before it, so whoever had the same hash had the same beginning.
class MooncakeReader : public Reader {
 public:
  std::string_view kind() const override { return "Mooncake"; }
  std::optional<Raw> read(std::string_view text) override {
    const auto at = field(text, "timestamp");
    const auto prompt = field(text, "input_length");
    const auto output = field(text, "output_length");
    const auto hashes = field(text, "hash_ids");
    if (!at || !prompt || !output || !hashes) return std::nullopt;
    const auto ms = number(*at);
    const auto in = count(*prompt);
    const auto out = count(*output);
    if (!ms || !in || !out) return std::nullopt;
    Raw raw{{.prompt = *in, .output = *out}, *ms / 1000, {}, {}, *out > 0};
    find_session(*hashes, raw.line);
    return raw;
  }

 private:
  void find_session(std::string_view hashes, TraceLine& line) {
    std::vector<std::string> blocks;
    for (std::string_view each : cells(hashes)) {
      each.remove_prefix(std::min(each.size(), each.find_first_not_of(' ')));
      if (!each.empty()) blocks.emplace_back(each);
    }
    line.session = next_session_;
    for (std::size_t i = blocks.size(); i-- > 0;) {
      const auto known = session_of_.find(blocks[i]);
      if (known == session_of_.end()) continue;
      line.session = known->second;
      line.history = static_cast<std::uint32_t>((i + 1) * kBlockTokens);
      break;
    }
    if (line.session == next_session_) ++next_session_;
    for (std::string& block : blocks) session_of_[std::move(block)] = line.session;
  }
  std::unordered_map<std::string, std::uint32_t> session_of_;
  std::uint32_t next_session_ = 0;
};

class LogReader : public Reader {
 public:
  std::string_view kind() const override { return "drover's log"; }
  std::optional<Raw> read(std::string_view text) override {
    Raw raw;
    raw.counts = false;
    if (field(text, "event") != "request") return raw;
    const auto at = field(text, "ts");
    const auto total = field(text, "total_ms");
    const auto prompt = field(text, "prompt_tokens");
    const auto output = field(text, "output_tokens");
    if (!at || !total || !prompt || !output) return std::nullopt;
    const auto seconds = civil_time(*at);
    const auto ms = number(*total);
    const auto in = count(*prompt);
    const auto out = count(*output);
    if (!seconds || !ms || !in || !out) return std::nullopt;
    raw.at = *seconds - *ms / 1000;  // the line is written at the end
    raw.line.prompt = *in;
    raw.line.output = *out;
    raw.model = field(text, "model").value_or("");
    raw.tenant = field(text, "client").value_or("");
    raw.counts = *in > 0 && *out > 0 && !raw.model.empty();
    return raw;
  }
};

std::unique_ptr<Reader> reader_for(std::string_view first, bool& has_header) {
  has_header = true;
  auto azure = std::make_unique<CsvReader>("Azure LLM", first, "TIMESTAMP", "ContextTokens",
                                           "GeneratedTokens");
  if (azure->fits()) return azure;
  auto burst = std::make_unique<CsvReader>("BurstGPT", first, "Timestamp", "Request tokens",
                                           "Response tokens");
  if (burst->fits()) return burst;
  has_header = false;
  if (field(first, "input_length")) return std::make_unique<MooncakeReader>();
  if (first.starts_with('{') && field(first, "ts") && field(first, "event")) {
    return std::make_unique<LogReader>();
  }
  return nullptr;
}

// Numbers for names; in the end the most frequent has number 0.
class Names {
 public:
  std::uint32_t number_of(std::string_view name) {
    const auto [found, added] = numbers_.emplace(name, static_cast<std::uint32_t>(names_.size()));
    if (added) names_.push_back({std::string(name), 0, found->second});
    ++names_[found->second].uses;
    return found->second;
  }
  // The new number of each, and the names in the new order.
  std::vector<std::uint32_t> sort(std::vector<std::string>& names) {
    std::ranges::stable_sort(names_, std::greater(), &Name::uses);
    std::vector<std::uint32_t> ranks(names_.size());
    for (std::size_t rank = 0; rank < names_.size(); ++rank) {
      ranks[names_[rank].number] = static_cast<std::uint32_t>(rank);
      names.push_back(names_[rank].text);
    }
    return ranks;
  }

 private:
  struct Name {
    std::string text;
    std::size_t uses = 0;
    std::uint32_t number = 0;
  };
  std::map<std::string, std::uint32_t, std::less<>> numbers_;
  std::vector<Name> names_;
};

std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

Result<Trace> read_trace(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  bool has_header = false;
  std::string_view peek = text;
  const std::unique_ptr<Reader> reader = reader_for(take_line(peek), has_header);
  if (!reader) {
    return wrong(1,
                 "neither Azure LLM nor BurstGPT (CSV with their headers), nor Mooncake or "
                 "drover's log (JSON lines)");
  }
  if (has_header) text = peek;
  Trace trace;
  trace.kind = reader->kind();
  Names models;
  Names tenants;
  std::vector<double> at;
  for (std::size_t number = has_header ? 2 : 1; !text.empty(); ++number) {
    const std::string_view line = take_line(text);
    if (line.empty()) continue;
    std::optional<Reader::Raw> raw = reader->read(line);
    if (!raw) return wrong(number, "is not like the first one");
    if (!raw->counts) {
      ++trace.skipped;
      continue;
    }
    raw->line.at_s = raw->at;
    if (trace.kind != "Mooncake") raw->line.session = static_cast<std::uint32_t>(number);
    if (!raw->model.empty()) raw->line.model = models.number_of(raw->model);
    if (!raw->tenant.empty()) raw->line.tenant = tenants.number_of(raw->tenant);
    trace.lines.push_back(raw->line);
  }
  if (trace.lines.empty()) return wrong(1, "no request with an answer follows");
  const auto model_ranks = models.sort(trace.models);
  const auto tenant_ranks = tenants.sort(trace.tenants);
  std::ranges::stable_sort(trace.lines, {}, &TraceLine::at_s);
  const double begin = trace.lines.front().at_s;
  for (TraceLine& line : trace.lines) {
    line.at_s -= begin;
    if (!model_ranks.empty()) line.model = model_ranks[line.model];
    if (!tenant_ranks.empty()) line.tenant = tenant_ranks[line.tenant];
  }
  return trace;
}

// --- a workload of it ---

Model model_from_name(std::string_view name) {
  Model model;
  model.name = name;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] != 'b' && name[i] != 'B') continue;
    std::size_t from = i;
    while (from > 0 && (std::isdigit(static_cast<unsigned char>(name[from - 1])) != 0 ||
                        name[from - 1] == '.')) {
      --from;
    }
    const auto billions = number(name.substr(from, i - from));
    if (billions && *billions > 0) model.parameters_b = *billions;
  }
  model.file_gb = 0.61 * model.parameters_b;
  // 8B models take 0.131 MB, 70B models 0.328: deeper ones have more layers, not wider caches.
  model.kv_mb_token = 0.131 * std::pow(model.parameters_b / 8, 0.42);
  if (model.file_gb > 15 && model.file_gb < 24) model.slots = 2;
  return model;
}

Workload workload_from(const Trace& trace, const Fleet& fleet, std::uint64_t seed) {
  Rng rng(seed);
  const Zipf zipf(fleet.models.size(), 1.0);
  // A conversation keeps its model.
  std::unordered_map<std::uint32_t, ModelIndex> models;
  Workload workload;
  workload.tenants = static_cast<std::uint32_t>(std::max<std::size_t>(1, trace.tenants.size()));
  for (const TraceLine& line : trace.lines) {
    Job job;
    if (trace.models.empty()) {
      const auto [known, added] = models.emplace(line.session, ModelIndex{0});
      if (added) known->second = static_cast<ModelIndex>(zipf.sample(rng));
      job.model = known->second;
    } else {
      job.model = static_cast<ModelIndex>(line.model % fleet.models.size());
    }
    const std::uint32_t room = fleet.models[job.model].num_ctx;
    job.tenant = line.tenant;
    job.session = line.session;
    // Ollama forgets the beginning of what is too long.
    job.output = std::clamp(line.output, 1U, room / 2);
    job.prompt = std::clamp(line.prompt, 1U, room - job.output);
    job.history = line.prompt > job.prompt ? 0 : std::min(line.history, job.prompt - 1);
    job.planned = Instant(seconds_of(line.at_s));
    workload.arrivals.push_back(static_cast<JobIndex>(workload.jobs.size()));
    workload.last_arrival = job.planned;
    workload.jobs.push_back(job);
  }
  return workload;
}

std::optional<GpuKind> gpu_from_text(std::string_view text) {
  for (const char* kind : {"gtx1080", "rtx4080", "rtx3090", "rtx4090", "a100-80gb", "h100-80gb"}) {
    if (text == kind) return gpu_kind(kind);
  }
  for (const std::string_view unit : {"GB", "gb", "G"}) {
    if (text.ends_with(unit)) {
      text.remove_suffix(unit.size());
      break;
    }
  }
  const auto gigabytes = number(text);
  if (!gigabytes || *gigabytes < 4 || *gigabytes > 1000) return std::nullopt;
  return gpu_of_memory(*gigabytes);
}

}  // namespace drover::sim
