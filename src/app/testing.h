#pragma once
// For the tests of what outlives a restart: a folder that goes away with the test, and a log that
// can be asked.

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "store/folder.h"

namespace drover::app::testing {

class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = "/tmp/drover-test-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() { remove(); }

  const std::string& path() const { return path_; }
  std::shared_ptr<const store::Folder> open() const {
    return std::make_shared<const store::Folder>(std::move(store::Folder::open(path_)).value());
  }
  bool has(std::string_view name) const {
    return std::filesystem::exists(path_ + "/" + std::string(name));
  }
  // As a disk that takes nothing, and as one that does again.
  void remove() const { std::filesystem::remove_all(path_); }
  void restore() const { std::filesystem::create_directory(path_); }

 private:
  std::string path_;
};

class SaidLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::span<const LogField>) override {
    lines.emplace_back(event);
  }
  auto count(std::string_view line) const { return std::ranges::count(lines, line); }
  std::vector<std::string> lines;
};

}  // namespace drover::app::testing
