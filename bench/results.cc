#include "results.h"

#include <algorithm>
#include <cmath>

namespace drover::bench {
namespace {

constexpr std::string_view kYardstick = "haproxy";  // bare
constexpr std::string_view kDirect = "direct";

class Rounds {
 public:
  explicit Rounds(std::span<const Sample> samples) : samples_(samples) {}

  // What the peer had in this round; for an added figure less what it is without a proxy.
  std::optional<double> value(const Measure& measure, std::string_view peer, unsigned round) const {
    const Sample* sample = find(measure, peer, round);
    if (sample == nullptr) return std::nullopt;
    double value = measure.value(sample->report);
    if (measure.against == Measure::Against::kAdded) {
      if (peer == kDirect) return std::nullopt;
      const Sample* direct = find(measure, kDirect, round);
      if (direct == nullptr) return std::nullopt;
      value -= measure.value(direct->report);
    }
    if (!std::isfinite(value)) return std::nullopt;
    return value;
  }

  unsigned count() const {
    unsigned count = 0;
    for (const Sample& sample : samples_) count = std::max(count, sample.round + 1);
    return count;
  }

  // Who had a turn, in the order of the first round.
  std::vector<Peer> peers(const Measure& measure) const {
    std::vector<Peer> peers;
    for (const Sample& sample : samples_) {
      const bool known = std::any_of(peers.begin(), peers.end(), [&](const Peer& peer) {
        return peer.name == sample.peer.name;
      });
      if (sample.scenario->name == measure.scenario && !known) peers.push_back(sample.peer);
    }
    return peers;
  }

 private:
  const Sample* find(const Measure& measure, std::string_view peer, unsigned round) const {
    const auto found = std::find_if(samples_.begin(), samples_.end(), [&](const Sample& sample) {
      return sample.clean && sample.scenario->name == measure.scenario &&
             sample.peer.name == peer && sample.round == round;
    });
    return found == samples_.end() ? nullptr : &*found;
  }

  std::span<const Sample> samples_;
};

// With two loops against the same with one; everything else against the yardstick.
std::string compared_with(const Peer& peer) {
  if (peer.loops == 1) return std::string(kYardstick);
  return peer.name.substr(0, peer.name.size() - kTwoLoops.size());
}

Finding find(const Rounds& rounds, const Measure& measure, const Peer& peer) {
  std::vector<double> values;
  std::vector<double> ratios;
  for (unsigned round = 0; round < rounds.count(); ++round) {
    const auto value = rounds.value(measure, peer.name, round);
    if (!value) continue;
    values.push_back(*value);
    const auto other = rounds.value(measure, compared_with(peer), round);
    // A yardstick that added less than nothing is noise, and there is no ratio to noise.
    if (other && *other > 0) ratios.push_back(*value / *other);
  }
  return {&measure, peer, spread_of(std::move(values)), spread_of(std::move(ratios))};
}

bool keeps(const Measure& measure, double bound, double ratio) {
  return measure.better == Measure::Better::kLess ? ratio <= bound : ratio >= bound;
}

}  // namespace

std::optional<Spread> spread_of(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const bool odd = values.size() % 2 == 1;
  const double median = odd ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return Spread{median, values.front(), values.back(), values.size()};
}

std::vector<Finding> findings(std::span<const Sample> samples) {
  const Rounds rounds(samples);
  std::vector<Finding> all;
  for (const Measure& measure : measures()) {
    for (const Peer& peer : rounds.peers(measure)) all.push_back(find(rounds, measure, peer));
  }
  return all;
}

Verdict verdict_of(const Finding& finding) {
  const Measure& measure = *finding.measure;
  const bool by_loops = measure.scenario == kLoopsScenario;
  const bool bound = measure.must && finding.peer.kind == PeerKind::kDrover &&
                     by_loops == (finding.peer.loops > 1);
  if (!bound) return Verdict::kNone;
  if (!finding.ratio) return Verdict::kUnknown;
  if (!keeps(measure, *measure.must, finding.ratio->median)) return Verdict::kMissed;
  return keeps(measure, *measure.aim, finding.ratio->median) ? Verdict::kAim : Verdict::kMust;
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kNone:
      return "";
    case Verdict::kAim:
      return "aim met";
    case Verdict::kMust:
      return "must met";
    case Verdict::kMissed:
      return "MISSED";
    case Verdict::kUnknown:
      return "not known";
  }
  return "";
}

}  // namespace drover::bench
