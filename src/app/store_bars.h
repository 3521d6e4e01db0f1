#pragma once
// A bar on the terminal for each store while a model is pulled: how much of all its parts has
// arrived there. Drawn over itself as it grows.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace drover::app {

// "1.5 GB" or "300 MB", as Ollama's own list has it.
std::string size_text(std::uint64_t bytes);

class StoreBars {
 public:
  // `model` stands before the bar where there is only one store, which lines do not name.
  explicit StoreBars(std::string model) : model_(std::move(model)) {}

  // What to print for a line of progress; empty where nothing that can be seen has changed.
  std::string take(std::string_view line);
  // Something else was printed: the next bars stand below it.
  void leave() { drawn_.clear(); }

 private:
  struct Part {
    std::uint64_t bytes = 0;             // in each store
    std::vector<std::uint64_t> arrived;  // by store
  };
  std::string draw();

  std::string model_;
  std::vector<std::string> stores_;
  std::map<std::string, Part> parts_;  // by digest
  std::string drawn_;
};

}  // namespace drover::app
