#include "fake_nvml/scenario.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>

namespace drover::fake_nvml {
namespace {

namespace fs = std::filesystem;

std::uint64_t to_number(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 0); }

std::string trim(std::string text) {
  text.erase(std::min(text.find('#'), text.size()));
  const std::size_t last = text.find_last_not_of(" \t\r");
  text.erase(last == std::string::npos ? 0 : last + 1);
  text.erase(0, std::min(text.find_first_not_of(" \t"), text.size()));
  return text;
}

void describe(Device& device, const std::string& word, const std::string& value) {
  std::istringstream values(value);
  std::string first;
  std::string second;
  values >> first >> second;
  if (word == "process") {
    std::optional<std::uint64_t> bytes;
    if (second != "n/a") bytes = to_number(second);
    device.processes.emplace_back(static_cast<unsigned>(to_number(first)), bytes);
  } else if (word == "xid") {
    Xid xid{static_cast<unsigned>(to_number(first)), std::nullopt};
    if (!second.empty()) xid.instance = static_cast<unsigned>(to_number(second));
    device.xids.push_back(xid);
  } else if (word == "mig") {
    device.mig = true;
  } else {
    device.words[word] = value;
  }
}

bool is_global(const std::string& word) {
  return word == "driver" || word == "init" || word == "block" || word == "delay_ms" ||
         word == "processes_dir";
}

void take(Scenario& scenario, const std::string& word, const std::string& value) {
  if (is_global(word)) {
    scenario.words[word] = value;
  } else if (word == "gpu") {
    scenario.gpus.emplace_back().uuid = value;
  } else if (scenario.gpus.empty()) {
    return;
  } else if (word == "slice") {
    scenario.gpus.back().slices.emplace_back().uuid = value;
  } else {
    Device& gpu = scenario.gpus.back();
    describe(gpu.slices.empty() ? gpu : gpu.slices.back(), word, value);
  }
}

bool lives(unsigned pid) { return ::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM; }

void add_holders(Device& device, const std::string& folder) {
  std::error_code error;
  for (fs::directory_iterator it(fs::path(folder) / device.uuid, error), end; !error && it != end;
       it.increment(error)) {
    const auto pid = static_cast<unsigned>(to_number(it->path().filename().string()));
    std::uint64_t bytes = 0;
    std::ifstream in(it->path());
    if (pid != 0 && in >> bytes && lives(pid)) device.processes.emplace_back(pid, bytes);
  }
}

Scenario read() {
  Scenario scenario;
  const char* path = std::getenv("FAKE_NVML_SCENARIO");
  std::ifstream in(path == nullptr ? "" : path);
  for (std::string line; std::getline(in, line);) {
    line = trim(line);
    if (line.empty()) continue;
    const std::size_t space = std::min(line.find(' '), line.size());
    take(scenario, line.substr(0, space), trim(line.substr(space)));
  }
  const auto folder = scenario.words.find("processes_dir");
  if (folder == scenario.words.end()) return scenario;
  for (Device& gpu : scenario.gpus) {
    add_holders(gpu, folder->second);
    for (Device& slice : gpu.slices) add_holders(slice, folder->second);
  }
  return scenario;
}

}  // namespace

std::optional<std::uint64_t> Device::number(const std::string& word) const {
  const auto found = words.find(word);
  if (found == words.end()) return std::nullopt;
  return to_number(found->second);
}

std::uint64_t Scenario::number(const std::string& word, std::uint64_t otherwise) const {
  const auto found = words.find(word);
  return found == words.end() ? otherwise : to_number(found->second);
}

Scenario now() {
  Scenario scenario = read();
  const auto delay = static_cast<useconds_t>(scenario.number("delay_ms", 0) * 1000);
  ::usleep(delay);  // tidy: allow(sleep) a slow driver is what is asked for
  const auto block = scenario.words.find("block");
  if (block == scenario.words.end()) return scenario;
  while (::access(block->second.c_str(), F_OK) == 0) {
    ::usleep(1000);  // tidy: allow(sleep) a driver that hangs, until the file is gone
  }
  return read();
}

}  // namespace drover::fake_nvml
