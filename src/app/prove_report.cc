#include "app/prove_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "app/cells.h"
#include "app/escape.h"

namespace drover::app {
namespace {

std::string names_of(const ProvePlan& plan, std::string_view between) {
  std::string out;
  for (const SeenInstance& one : plan.instances) {
    if (!out.empty()) out += between;
    out += text_words(one.name);
  }
  return out;
}

std::string busy_words(const std::vector<GpuBusy>& gpus) {
  std::string out;
  for (const GpuBusy& gpu : gpus) {
    if (!out.empty()) out += ", ";
    out += fmt::format("GPU {} {:.0f} %", gpu.index, gpu.utilization * 100);
  }
  return out.empty() ? "not readable" : out;
}

Row row_of(std::string who, const ProvePhase& phase) {
  const auto time = [&phase](double share) {
    return phase.load.first_token.empty()
               ? std::string("-")
               : fmt::format("{:.3f} s", to_seconds(phase.load.first_token_at(share)));
  };
  return {std::move(who),
          fmt::format("{:.1f}", phase.load.tokens_per_second),
          time(0.5),
          time(0.99),
          fmt::format("{}", phase.load.answers),
          busy_words(phase.gpus)};
}

std::string shares(const Proof& proof) {
  std::string out;
  for (const auto& [name, rate] : proof.all.load.by_instance) {
    out += fmt::format("{}{} {:.1f}", out.empty() ? "" : ", ", text_words(name), rate);
  }
  return out;
}

template <class List, class Item>
std::string array(const List& list, Item item) {
  std::string out = "[";
  for (const auto& each : list) {
    if (out.size() > 1) out += ',';
    out += item(each);
  }
  return out + ']';
}

std::string phase_json(const ProvePhase& phase) {
  const auto gpu = [](const GpuBusy& each) {
    return fmt::format("{{\"index\":{},\"utilization\":{:.3f}}}", each.index, each.utilization);
  };
  const auto share = [](const auto& each) {
    return fmt::format("{{\"name\":{},\"tokens_per_second\":{:.3f}}}", json_quoted(each.first),
                       each.second);
  };
  return fmt::format(
      "{{\"seconds\":{:.3f},\"tokens_per_second\":{:.3f},\"first_token_seconds\":{{\"median\":"
      "{:.4f},\"p99\":{:.4f}}},\"answers\":{},\"failures\":{},\"instances\":{},\"gpus\":{}}}",
      phase.load.seconds, phase.load.tokens_per_second, to_seconds(phase.load.first_token_at(0.5)),
      to_seconds(phase.load.first_token_at(0.99)), phase.load.answers, phase.load.failures,
      array(phase.load.by_instance, share), array(phase.gpus, gpu));
}

void judge_phase(Proof& proof, const ProvePhase& phase, std::string_view which) {
  if (phase.load.failures > 0) {
    proof.plan.notes.push_back(fmt::format("{} answers of {} failed; the last one: {}",
                                           phase.load.failures, which,
                                           text_words(phase.load.last_failure)));
  }
  if (phase.load.tokens_per_second <= 0) {
    proof.spoiled.push_back(
        fmt::format("{} gave no token within the time; more --seconds may help", which));
  }
}

}  // namespace

void judge(Proof& proof) {
  LoadResult& all = proof.all.load;
  // A direct answer does not say whose it is.
  proof.one.load.by_instance = {
      {proof.plan.instances.front().name, proof.one.load.tokens_per_second}};
  const auto is_measured = [&proof](const std::string& name) {
    return std::ranges::find(proof.plan.instances, name, &SeenInstance::name) !=
           proof.plan.instances.end();
  };
  for (auto it = all.by_instance.begin(); it != all.by_instance.end();) {
    if (is_measured(it->first)) {
      ++it;
      continue;
    }
    proof.plan.notes.push_back(
        fmt::format("{} gave {:.1f} tokens per second, which are not counted: it is none of the "
                    "compared instances",
                    text_words(it->first), it->second));
    all.tokens_per_second -= it->second;
    it = all.by_instance.erase(it);
  }
  judge_phase(proof, proof.one, "the instance alone");
  judge_phase(proof, proof.all, "all instances together");
}

double ratio(const Proof& proof) {
  const double one = proof.one.load.tokens_per_second;
  return one > 0 ? proof.all.load.tokens_per_second / one : 0;
}

std::string proof_text(const Proof& proof) {
  const std::size_t count = proof.plan.instances.size();
  std::string out = lay_out({
      {"ASKED", "TOKENS/S", "FIRST TOKEN", "P99", "ANSWERS", "BUSY"},
      row_of(proof.plan.instances.front().name + " alone", proof.one),
      row_of(fmt::format("{} through drover", names_of(proof.plan, " + ")), proof.all),
  });
  out += fmt::format("\nOf the tokens per second of all: {}.\n", shares(proof));
  out += fmt::format(
      "{:.2f}x the tokens per second of one instance; {}x would be all that {} can give.\n",
      ratio(proof), count, count);
  for (const std::string& note : proof.plan.notes) out += fmt::format("note: {}\n", note);
  for (const std::string& why : proof.spoiled) {
    out += fmt::format("These numbers do not count: {}\n", why);
  }
  return out;
}

std::string proof_json(const Proof& proof) {
  const auto words = [](const std::string& each) { return json_quoted(each); };
  const auto name = [](const SeenInstance& each) { return json_quoted(each.name); };
  return fmt::format(
      "{{\"counts\":{},\"ratio\":{:.4f},\"model\":{},\"requests_per_instance\":{},\"instances\":{},"
      "\"drover\":{},\"one\":{},\"all\":{},\"notes\":{},\"spoiled\":{}}}\n",
      proof.spoiled.empty(), ratio(proof), json_quoted(proof.plan.model), proof.clients,
      array(proof.plan.instances, name), json_quoted(proof.drover), phase_json(proof.one),
      phase_json(proof.all), array(proof.plan.notes, words), array(proof.spoiled, words));
}

}  // namespace drover::app
