#include "record.h"

#include <gtest/gtest.h>

#include "table.h"
#include "wire/json_scanner.h"

namespace drover::bench {
namespace {

bool is_json(std::string_view text) {
  wire::JsonScanner scanner({});
  while (!text.empty()) {
    if (scanner.next(text) == wire::JsonScanner::Event::kBad) return false;
  }
  return scanner.complete();
}

// A sample of every scenario and peer, with nothing measured and a problem that has to be escaped.
std::vector<Sample> samples() {
  std::vector<Sample> all;
  for (const Scenario& scenario : scenarios()) {
    for (const Peer& peer : standard_peers("drover")) {
      Sample sample;
      sample.scenario = &scenario;
      sample.peer = peer;
      sample.clean = true;
      sample.problem = "not \"200\"\n";
      all.push_back(sample);
    }
  }
  return all;
}

Setting setting() {
  Setting setting;
  setting.command = "run --only \"c64\"";
  setting.versions = {{"haproxy", "HAProxy version 2.6"}, {"nginx", ""}};
  return setting;
}

TEST(Record, EverythingIsJsonEvenWhenNothingWasMeasured) {
  const std::vector<Sample> all = samples();
  EXPECT_TRUE(is_json(json_document(setting(), all, findings(all))));
  EXPECT_TRUE(is_json(json_document(setting(), {}, {})));
}

TEST(Record, TheHistoryHasOneLineForARun) {
  const std::vector<Sample> all = samples();
  const std::string line = history_line(setting(), findings(all));
  EXPECT_TRUE(is_json(line));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

TEST(Record, TheHistoryHasEveryPeerAndHowFarItsRatioSpreads) {
  std::vector<Finding> all;
  for (const Peer& peer : standard_peers("drover")) {
    all.push_back({measures().data(), peer, Spread{2, 1, 3, 4}, Spread{0.5, 0.25, 0.75, 4}});
  }
  all.back().ratio.reset();
  const std::string line = history_line(setting(), all);
  EXPECT_TRUE(is_json(line)) << line;
  const std::string what =
      std::string(measures()[0].scenario) + ' ' + std::string(measures()[0].name);
  for (const Finding& each : all) {
    const std::string figures = each.ratio ? ":[2,0.5,0.25,0.75]" : ":[2,null,null,null]";
    EXPECT_NE(line.find('"' + each.peer.name + ' ' + what + '"' + figures), std::string::npos)
        << line;
  }
}

TEST(Table, TellsTheFirstWrongAnswer) {
  std::vector<Sample> all = samples();
  all.back().report.wrong = 7;
  const std::string text = table(all, findings(all));
  EXPECT_NE(text.find("WRONG: loops drover round 1: 7 answers, the first: not \"200\""),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace drover::bench
