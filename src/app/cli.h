#pragma once
// The command line as a value. Each verb is one struct; what was typed wrongly ends here with a
// sentence and exit code 2.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace drover::cli {

// Exit codes of every verb.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;    // refused or failed
inline constexpr int kWrongUse = 2;  // the command line itself

enum class Output : std::uint8_t { kText, kJson };

// What decides the configuration, as typed; app/effective.h makes a Config of it.
struct ConfigOptions {
  std::optional<std::string> file;
  std::vector<std::string> listen;
  std::optional<std::string> admin;
  std::vector<std::string> backends;
  std::optional<std::string> policy;
};

struct ServeCommand {
  ConfigOptions config;
};

enum class CheckWhat : std::uint8_t { kConfiguration, kPrintSchema };
struct CheckCommand {
  ConfigOptions config;
  Output output = Output::kText;
  CheckWhat what = CheckWhat::kConfiguration;
};

struct StatusCommand {
  ConfigOptions config;  // only `file` and `admin` can be given
  Output output = Output::kText;
};

// `drover backends …`: the list, and what operators do to instances.
struct BackendsCommand {
  enum class Action : std::uint8_t { kList, kDrain, kUndrain, kRestart };
  // Of several restarts: all at once, or the next one when the one before serves again.
  enum class Order : std::uint8_t { kAtOnce, kRolling };
  ConfigOptions config;  // only `file` and `admin` can be given
  Output output = Output::kText;
  Action action = Action::kList;
  Order order = Order::kAtOnce;
  std::vector<std::string> names;  // empty with kRestart: all of them
  std::uint32_t grace_seconds = 600;
};

// `drover models …`: what the whole fleet has, and changes of it.
struct ModelsCommand {
  enum class Action : std::uint8_t { kList, kPull, kRemove, kSync, kLoad, kUnload };
  ConfigOptions config;  // only `file` and `admin` can be given
  Output output = Output::kText;
  Action action = Action::kList;
  std::vector<std::string> names;  // empty with kList and kSync only
};

struct GpusCommand {
  ConfigOptions config;  // only `file` and `admin` can be given
  Output output = Output::kText;
};

struct LogsCommand {
  ConfigOptions config;            // only `file` can be given
  std::vector<std::string> names;  // none: all that have a log
  std::size_t lines = 100;         // of each, to begin with
  bool follow = false;
};

struct ExplainCommand {
  ConfigOptions config;  // only `file` and `admin` can be given
  Output output = Output::kText;
  std::string id;  // an X-Request-ID; not empty
};

struct ProveCommand {
  ConfigOptions config;              // only `file` and `admin` can be given
  std::optional<std::string> model;  // none: one that the instances have loaded, or hold
  unsigned seconds = 20;             // of each of the two phases
  unsigned parallel = 4;             // requests under way, for each instance
  Output output = Output::kText;
};

// `drover sim`: a comparison of policies in a simulated world, or the list of worlds.
struct SimCommand {
  std::optional<std::string> scenario;  // none, and no trace or matrix: the list
  // Two policies in all scenarios whose names begin so; "load" none: 0.5 and 0.9.
  std::optional<std::string> matrix;
  std::vector<std::string> policies = {"least_loaded", "affinity", "expected_completion",
                                       "clairvoyant"};
  std::uint64_t first_seed = 1;
  unsigned seeds = 5;
  unsigned requests = 4000;    // in each run
  std::optional<double> load;  // of the capacity; none: 0.9
  bool capacity = false;       // what each policy bears, instead of what it does at that load
  bool time = false;           // and how long the scheduler takes for an event
  std::optional<std::string> json_file;
  std::optional<std::string> svg_file;
  std::optional<std::string> trace_file;  // recorded traffic instead of a scenario
  std::vector<std::string> gpus;          // the fleet of the trace; none: the usual one
  std::optional<std::string> add_gpu;     // and what one more would change
};

struct VersionCommand {
  Output output = Output::kText;
};

struct DemoCommand {};

enum class SystemdWhat : std::uint8_t { kPrint, kInstall, kUninstall };
enum class TakeOver : std::uint8_t { kNo, kYes };  // of the ollama.service that is there
enum class Paths : std::uint8_t { kAdministrator, kPackage };
struct SystemdCommand {
  SystemdWhat what = SystemdWhat::kPrint;
  ConfigOptions config;             // only `file` can be given
  std::optional<std::string> user;  // of the instances
  std::optional<std::string> root;  // write below it, and start nothing
  TakeOver take_over = TakeOver::kNo;
  Paths paths = Paths::kAdministrator;
};

enum class Shell : std::uint8_t { kBash, kZsh, kFish };
struct CompletionCommand {
  Shell shell = Shell::kBash;
};

using Command =
    std::variant<ServeCommand, CheckCommand, StatusCommand, BackendsCommand, ModelsCommand,
                 GpusCommand, LogsCommand, ExplainCommand, ProveCommand, SimCommand, VersionCommand,
                 DemoCommand, SystemdCommand, CompletionCommand>;

// What a verb (or a refusal, or --help) has to say. print() writes both texts and returns the code.
struct Printed {
  int exit_code = kDone;
  std::string out;
  std::string err;
};
int print(const Printed& printed);

// The command line as data, from the same definition that reads it: for completion and the manual.
struct OptionText {
  std::string name;     // "--config"
  std::string value;    // "FILE"; empty: a flag
  std::string meaning;  // one line
};
struct VerbText {
  std::string name;
  std::string meaning;
  std::vector<OptionText> options;
  std::vector<std::string> words;  // what its plain argument can be; empty: it takes none
};
std::vector<VerbText> describe();

// Arguments without the program's name.
std::variant<Command, Printed> read(const std::vector<std::string>& arguments);

// For main: a command, or nothing once the reason (or the help) was printed; then exit_code counts.
struct Parsed {
  std::optional<Command> command;
  int exit_code = kDone;
};
Parsed parse(int argc, char** argv);

}  // namespace drover::cli
