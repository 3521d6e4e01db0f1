#include "wire/progress.h"

#include <algorithm>
#include <limits>

#include "wire/dialect.h"
#include "wire/json_scanner.h"

namespace drover::wire {
namespace {

using Event = JsonScanner::Event;

std::string status_line(std::string_view status) {
  return "{\"status\":" + json_quote(status) + '}';
}

// Members that are zero are left out, as Ollama does.
std::string part_line(std::string_view status, std::string_view digest, std::uint64_t total,
                      std::uint64_t completed) {
  std::string line = "{\"status\":" + json_quote(status) + ",\"digest\":" + json_quote(digest);
  if (total != 0) line += ",\"total\":" + std::to_string(total);
  if (completed != 0) line += ",\"completed\":" + std::to_string(completed);
  return line += '}';
}

}  // namespace

Result<ProgressLine> read_progress(std::string_view line) {
  JsonScanner scanner({.report_depth = 1, .max_text = 1024});
  ProgressLine read;
  std::string key;
  Event event = Event::kMore;
  bool object = false;
  while ((event = scanner.next(line)) != Event::kMore && event != Event::kBad) {
    if (event == Event::kBeginObject && scanner.depth() == 0) object = true;
    if (event == Event::kKey) key = scanner.text();
    if (scanner.depth() != 1) continue;
    if (event == Event::kString) {
      if (key == "status") read.status = scanner.text();
      if (key == "digest") read.digest = scanner.text();
      if (key == "error") read.error = scanner.text();
    } else if (event == Event::kNumber) {
      if (key == "total") read.total = whole_number(scanner.text());
      if (key == "completed") read.completed = whole_number(scanner.text());
    }
  }
  if (!object || !scanner.complete()) {
    return Error{ErrorKind::kUpstream, Origin::kInstance, Retry::kSafe,
                 "a progress line that is not a JSON object"};
  }
  return read;
}

std::vector<std::pair<std::string, std::uint64_t>> read_shares(std::string_view line) {
  JsonScanner scanner({.report_depth = 2, .max_text = 1024});
  std::vector<std::pair<std::string, std::uint64_t>> shares;
  std::string section;
  std::string name;
  Event event = Event::kMore;
  while ((event = scanner.next(line)) != Event::kMore && event != Event::kBad) {
    if (event == Event::kKey) (scanner.depth() == 1 ? section : name) = scanner.text();
    const bool share =
        event == Event::kNumber && scanner.depth() == 2 && section == "drover_stores";
    if (share) shares.emplace_back(name, whole_number(scanner.text()));
  }
  if (!scanner.complete()) shares.clear();
  return shares;
}

ProgressMerge::Told ProgressMerge::announce(std::string_view status) {
  announced_ = status_line(status);
  Phase& phase = phases_[std::string(status)];
  phase.said.resize(stores_);
  ++phase.told;
  phase_order_.emplace_back(status);
  return {{}, announced_};
}

void ProgressMerge::take(std::size_t store, const ProgressLine& line, std::string_view raw,
                         std::vector<Told>& out) {
  const std::size_t before = out.size();
  if (line.digest.empty()) {
    take_phase(store, line.status, out);
  } else {
    take_part(store, line, out);
  }
  // What a single store says is passed on as it is, whatever members a line may have.
  if (stores_ == 1 && out.size() > before) out.back().line = raw;
}

void ProgressMerge::take_part(std::size_t store, const ProgressLine& line, std::vector<Told>& out) {
  if (!parts_.contains(line.digest)) {
    if (parts_.size() == kMaxParts) return;
    part_order_.push_back(line.digest);
    parts_[line.digest].completed.resize(stores_);
  }
  Part& part = parts_[line.digest];
  part.status = line.status;
  part.total = std::max(part.total, std::min(line.total, kMaxPart));
  std::uint64_t& completed = part.completed[store];
  completed = std::max(completed, std::min(line.completed, part.total));
  tell_part(line.digest, out);
}

void ProgressMerge::tell_part(const std::string& digest, std::vector<Told>& out) {
  Part& part = parts_[digest];
  std::uint64_t completed = 0;
  for (std::size_t i = 0; i < stores_; ++i) {
    completed += state_of(i) == State::kWell ? part.total : part.completed[i];
  }
  std::string line = part_line(part.status, digest, part.total * stores_, completed);
  if (!names_.empty()) line.insert(line.size() - 1, shares(part));
  if (line == part.told) return;
  part.told = line;
  out.push_back({digest, std::move(line)});
}

std::string ProgressMerge::shares(const Part& part) const {
  std::string text = ",\"drover_stores\":{";
  for (std::size_t i = 0; i < stores_; ++i) {
    const std::uint64_t arrived = state_of(i) == State::kWell ? part.total : part.completed[i];
    text += (i == 0 ? "" : ",") + json_quote(names_[i]) + ':' + std::to_string(arrived);
  }
  return text += '}';
}

void ProgressMerge::take_phase(std::size_t store, const std::string& status,
                               std::vector<Told>& out) {
  if (!phases_.contains(status)) {
    if (phases_.size() == kMaxPhases) return;
    phase_order_.push_back(status);
    phases_[status].said.resize(stores_);
  }
  ++phases_[status].said[store];
  tell_phase(status, out);
}

// As often as every store has said it that is still at work.
void ProgressMerge::tell_phase(const std::string& status, std::vector<Told>& out) {
  Phase& phase = phases_[status];
  std::uint32_t by_all = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t by_any = 0;
  for (std::size_t i = 0; i < stores_; ++i) {
    by_any = std::max(by_any, phase.said[i]);
    if (state_of(i) == State::kWorks) by_all = std::min(by_all, phase.said[i]);
  }
  for (by_all = std::min(by_all, by_any); phase.told < by_all; ++phase.told) {
    last_phase_ = status_line(status);
    out.push_back({{}, last_phase_});
  }
}

void ProgressMerge::ended(std::size_t store, How how, std::vector<Told>& out) {
  states_.resize(stores_);
  states_[store] = how == How::kWell ? State::kWell : State::kFailed;
  if (how == How::kWell) {
    for (const std::string& digest : part_order_) tell_part(digest, out);
  }
  const bool others = std::any_of(states_.begin(), states_.end(),
                                  [](State state) { return state == State::kWorks; });
  if (!others) return;
  for (const std::string& status : phase_order_) tell_phase(status, out);
}

std::vector<ProgressMerge::Told> ProgressMerge::so_far() const {
  std::vector<Told> all;
  if (!announced_.empty()) all.push_back({{}, announced_});
  for (const std::string& digest : part_order_) {
    all.push_back({digest, parts_.at(digest).told});
  }
  if (!last_phase_.empty() && last_phase_ != announced_) all.push_back({{}, last_phase_});
  return all;
}

}  // namespace drover::wire
