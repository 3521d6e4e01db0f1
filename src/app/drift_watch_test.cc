#include "app/drift_watch.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace drover::app {
namespace {

class Said final : public Log {
 public:
  void write(LogLevel level, std::string_view event, std::span<const LogField> fields) override {
    text += level == LogLevel::kWarn ? "warn " : "info ";
    text += event;
    for (const LogField& field : fields) {
      if (field.key == "first") {
        text += ": ";
        text += std::get<std::string_view>(field.value);
      }
    }
    text += '\n';
  }
  std::string text;
};

// Two instances, each with `a` and `b` of these digests.
core::FleetView fleet(std::string a0, std::string b0, std::string a1, std::string b1) {
  core::FleetView view;
  for (auto& [a, b] : {std::pair(a0, b0), std::pair(a1, b1)}) {
    core::Catalogue catalogue;
    catalogue.push_back({.name = ModelName::canonical("a"), .digest = a});
    catalogue.push_back({.name = ModelName::canonical("b"), .digest = b});
    view.backends.emplace_back().catalogue =
        std::make_shared<core::Catalogue>(std::move(catalogue));
  }
  return view;
}

TEST(DriftWatch, WarnsOncePerChangeAndSaysWhenItIsOver) {
  Said log;
  DriftWatch watch(log);
  watch.look(fleet("1", "1", "1", "1"));
  EXPECT_EQ(log.text, "");
  watch.look(fleet("1", "1", "1", "2"));
  watch.look(fleet("1", "1", "1", "3"));
  EXPECT_EQ(log.text, "warn models differ between instances: b:latest\n");
  watch.look(fleet("1", "1", "2", "3"));
  watch.look(fleet("1", "1", "1", "1"));
  watch.look(fleet("1", "1", "1", "1"));
  EXPECT_EQ(log.text,
            "warn models differ between instances: b:latest\n"
            "warn models differ between instances: a:latest\n"
            "info models agree again\n");
}

}  // namespace
}  // namespace drover::app
