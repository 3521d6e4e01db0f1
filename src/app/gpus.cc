#include "app/gpus.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "app/admin_target.h"
#include "app/gpu_table.h"
#include "app/http_get.h"
#include "app/verbs.h"
#include "export/status_json.h"
#include "keeper/gpu_watch.h"
#include "net/epoll_loop.h"

namespace drover::app {
namespace {

using simdjson::dom::element;

cli::Printed failure(std::string message) {
  return {cli::kFailed, "", "drover: " + std::move(message) + "\n"};
}

// Without its daemon for persistence the driver wakes each GPU first, which takes seconds.
constexpr Duration kReadPatience = std::chrono::seconds(30);

// As ps shows it, fifteen bytes at most.
std::string process_name(std::int64_t pid) {
  std::ifstream in(fmt::format("/proc/{}/comm", pid));
  std::string name;
  std::getline(in, name);
  return name;
}

bool is_here(const config::HostPort& admin) {
  return admin.host == "localhost" || admin.host == "::1" || admin.host.starts_with("127.");
}

struct Seen {
  std::string json;  // a status, or its "gpus" alone
  bool is_status = false;
  bool is_here = true;  // so that processes have names
};

bool has_gpus(const std::string& status) {
  simdjson::dom::parser parser;
  element parsed;
  return parser.parse(status).get(parsed) == simdjson::SUCCESS && parsed["gpus"].is_object();
}

// A running drover knows which instance is pinned where, and how often errors happened. Without one
// the GPUs are read here, unless a certain drover was asked for.
Result<Seen> look(const AdminTarget& target, const config::Environment& environment) {
  Result<Answer> answer = http_get(target.admin, "/api/v1/status", kAdminPatience);
  if (answer && answer->status == 200 && has_gpus(answer->body)) {
    return Seen{std::move(answer->body), true, is_here(target.admin)};
  }
  if (!target.named) return Seen{exporter::gpus_json(read_gpus_here(environment)), false, true};
  Error error{ErrorKind::kUpstream, Origin::kInstance, Retry::kNever, ""};
  error.message = answer ? fmt::format("{} reads no GPUs; without --admin they are read here",
                                       target.admin.to_string())
                         : explain_no_answer(target.admin, answer.error());
  return error;
}

std::string show(const Seen& seen, cli::Output output) {
  simdjson::dom::parser parser;
  element whole;
  if (parser.parse(seen.json).get(whole) != simdjson::SUCCESS) return "";
  const element gpus = seen.is_status ? whole["gpus"].value() : whole;
  if (output == cli::Output::kJson) return std::string(simdjson::minify(gpus)) + "\n";
  const auto no_name = [](std::int64_t) { return std::string(); };
  return gpu_sheet(gpus, seen.is_status ? &whole : nullptr,
                   seen.is_here ? ProcessName(process_name) : ProcessName(no_name));
}

}  // namespace

GpuReport read_gpus_here(const config::Environment& environment) {
  net::EpollLoop loop;
  std::shared_ptr<const GpuReport> report;
  keeper::GpuWatch watch(loop, keeper::make_gpu_reader(gpu_places(environment)),
                         {.deadline = kReadPatience}, [&](std::shared_ptr<const GpuReport> read) {
                           report = std::move(read);
                           loop.stop();
                         });
  loop.run();
  return *report;
}

keeper::GpuPlaces gpu_places(const config::Environment& environment) {
  return {.nvml_library = environment("DROVER_NVML_LIBRARY")};
}

cli::Printed run_gpus(const cli::GpusCommand& command, const config::Environment& environment) {
  const Result<AdminTarget> target = admin_target(command.config, environment);
  if (!target) return failure(target.error().message);
  const Result<Seen> seen = look(*target, environment);
  if (!seen) return failure(seen.error().message);
  return {cli::kDone, show(*seen, command.output), target->warning};
}

}  // namespace drover::app
