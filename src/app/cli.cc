#include "app/cli.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <string_view>
#include <utility>

#include "app/escape.h"
#include "app/verb_texts.h"
#include "config/words.h"

namespace drover::cli {
namespace {

const std::vector<std::string> kSystemdWords = {"print", "install", "uninstall"};
const std::vector<std::string> kShellWords = {"bash", "zsh", "fish"};

// CLI11 writes into these while it parses; `chosen` is filled by the verb's callback.
struct Inputs {
  ConfigOptions config;
  bool json = false;
  bool schema = false;
  std::string word;  // the plain argument of a verb that takes one
  SystemdCommand systemd;
  bool take_over = false;
  bool package = false;
  bool all = false;
  bool rolling = false;
  BackendsCommand backends;
  ModelsCommand models;
  LogsCommand logs;
  ProveCommand prove;
  SimCommand sim;
  bool list = false;
  std::optional<Command> chosen;

  Output output() const { return json ? Output::kJson : Output::kText; }
};

// Unless told otherwise, CLI11's vector options take every argument that follows; one is wanted.
void add_list(CLI::App& verb, const char* name, std::vector<std::string>& into, const char* value,
              const char* meaning) {
  verb.add_option(name, into, meaning)
      ->type_name(value)
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void add_config_file(CLI::App& verb, ConfigOptions& config) {
  verb.add_option("--config", config.file,
                  "Configuration file (default: drover.yaml in ~/.config/drover or /etc/drover, "
                  "if there is one)")
      ->type_name("FILE");
}

void add_admin(CLI::App& verb, ConfigOptions& config) {
  verb.add_option("--admin", config.admin, "Admin address (default 127.0.0.1:11436)")
      ->type_name("HOST:PORT");
}

void add_config_options(CLI::App& verb, ConfigOptions& config) {
  add_config_file(verb, config);
  add_list(verb, "--listen", config.listen, "HOST:PORT",
           "Where clients connect (default 127.0.0.1:11434); repeat for more");
  add_admin(verb, config);
  add_list(verb, "--backend", config.backends, "URL",
           "An Ollama instance, as http://host:port; repeat for more");
  verb.add_option("--policy", config.policy,
                  "round_robin, least_loaded or expected_completion (the default)")
      ->type_name("NAME");
}

void add_json(CLI::App& verb, Inputs& inputs) {
  verb.add_flag("--json", inputs.json, "Print JSON for programs");
}

// The one plain argument of a verb, out of a few words.
void add_word(CLI::App& verb, const char* name, std::string& into,
              const std::vector<std::string>& words) {
  verb.add_option(name, into, fmt::format("One of {}", fmt::join(words, ", ")))
      ->required()
      ->check(CLI::IsMember(words))
      ->type_name("");
}

// Precondition: `word` is among them; the check above has seen to it.
std::size_t place_of(const std::string& word, const std::vector<std::string>& words) {
  return static_cast<std::size_t>(std::find(words.begin(), words.end(), word) - words.begin());
}

void choose_systemd(Inputs& inputs) {
  SystemdCommand systemd = inputs.systemd;
  systemd.config = inputs.config;
  systemd.what = static_cast<SystemdWhat>(place_of(inputs.word, kSystemdWords));
  if (inputs.take_over) systemd.take_over = TakeOver::kYes;
  if (inputs.package) systemd.paths = Paths::kPackage;
  if (inputs.take_over && systemd.what != SystemdWhat::kInstall) {
    throw CLI::ValidationError("--take-over belongs to drover systemd install");
  }
  if (inputs.take_over && systemd.root) {
    throw CLI::ValidationError("--take-over changes this machine; it cannot go with --root");
  }
  if (inputs.package && systemd.what != SystemdWhat::kPrint) {
    throw CLI::ValidationError("--package belongs to drover systemd print");
  }
  if (systemd.root && systemd.what == SystemdWhat::kPrint) {
    throw CLI::ValidationError("--root belongs to drover systemd install and uninstall");
  }
  inputs.chosen = std::move(systemd);
}

void add_systemd(CLI::App& app, Inputs& inputs) {
  CLI::App* verb = app.add_subcommand("systemd", "Run drover and its instances as services");
  add_word(*verb, "what", inputs.word, kSystemdWords);
  add_config_file(*verb, inputs.config);
  verb->add_option("--user", inputs.systemd.user,
                   "Who the instances run as (default: the user of ollama.service, else ollama)")
      ->type_name("NAME");
  verb->add_flag("--take-over", inputs.take_over,
                 "install: stop and mask ollama.service, keep its models and settings");
  verb->add_option("--root", inputs.systemd.root,
                   "install, uninstall: only the files, below this directory")
      ->type_name("DIR");
  verb->add_flag("--package", inputs.package, "print: the files of a distribution's package");
  verb->footer(kSystemdExamples);
  verb->callback([&] { choose_systemd(inputs); });
}

CLI::App* add_backends_action(CLI::App& backends, Inputs& inputs, const char* name,
                              const char* meaning, BackendsCommand::Action action) {
  CLI::App* verb = backends.add_subcommand(name, meaning);
  add_config_file(*verb, inputs.config);
  add_admin(*verb, inputs.config);
  add_json(*verb, inputs);
  verb->callback([&inputs, action] {
    inputs.backends.action = action;
    inputs.backends.config = inputs.config;
    inputs.backends.output = inputs.output();
    if (inputs.rolling) inputs.backends.order = BackendsCommand::Order::kRolling;
    const bool restart = action == BackendsCommand::Action::kRestart;
    if (restart && inputs.all != inputs.backends.names.empty()) {
      throw CLI::ValidationError("name the instances to restart, or say --all");
    }
    inputs.chosen = inputs.backends;
  });
  return verb;
}

void add_backends(CLI::App& app, Inputs& inputs) {
  using Action = BackendsCommand::Action;
  CLI::App* backends = app.add_subcommand("backends", "List, drain and restart instances");
  backends->require_subcommand(1);
  backends->footer(kBackendsExamples);
  std::vector<std::string>& names = inputs.backends.names;
  add_backends_action(*backends, inputs, "list", "Show the instances", Action::kList);
  CLI::App* drain = add_backends_action(*backends, inputs, "drain", "Give an instance nothing new",
                                        Action::kDrain);
  drain->add_option("NAME", names, "The instance")->required()->expected(1);
  CLI::App* undrain =
      add_backends_action(*backends, inputs, "undrain", "Give it requests again", Action::kUndrain);
  undrain->add_option("NAME", names, "The instance")->required()->expected(1);
  CLI::App* restart =
      add_backends_action(*backends, inputs, "restart", "Start its process anew", Action::kRestart);
  restart->add_option("NAME", names, "The instances");
  restart->add_flag("--all", inputs.all, "Every instance that drover runs");
  restart->add_flag("--rolling", inputs.rolling,
                    "One after the other, each when the one before serves");
  restart
      ->add_option("--grace", inputs.backends.grace_seconds,
                   "Longest wait for requests under way (default 600)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0, 86400));
}

void add_models(CLI::App& app, Inputs& inputs) {
  using Action = ModelsCommand::Action;
  struct Row {
    const char* name;
    const char* meaning;
    Action action;
  };
  constexpr Row kRows[] = {{"list", "Show the models", Action::kList},
                           {"pull", "Fetch models to every store", Action::kPull},
                           {"rm", "Remove models from every store", Action::kRemove},
                           {"sync", "Fetch and load what the configuration says", Action::kSync},
                           {"load", "Load models on an instance", Action::kLoad},
                           {"unload", "Take models out of memory", Action::kUnload}};
  CLI::App* models = app.add_subcommand("models", "List, fetch, remove and load models");
  models->require_subcommand(1);
  models->footer(kModelsExamples);
  for (const Row& row : kRows) {
    CLI::App* verb = models->add_subcommand(row.name, row.meaning);
    add_config_file(*verb, inputs.config);
    add_admin(*verb, inputs.config);
    add_json(*verb, inputs);
    if (row.action != Action::kList && row.action != Action::kSync) {
      verb->add_option("MODEL", inputs.models.names, "The models")->required();
    }
    verb->callback([&inputs, action = row.action] {
      inputs.models.action = action;
      inputs.models.config = inputs.config;
      inputs.models.output = inputs.output();
      inputs.chosen = inputs.models;
    });
  }
}

void add_logs(CLI::App& app, Inputs& inputs) {
  CLI::App* logs = app.add_subcommand("logs", "Show what the instances that drover runs wrote");
  add_config_file(*logs, inputs.config);
  logs->add_option("NAME", inputs.logs.names, "Instances (default: all)")->type_name("");
  logs->add_option("--lines", inputs.logs.lines, "The last N of each")
      ->type_name("N")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  logs->add_flag("-f,--follow", inputs.logs.follow, "Go on with what they write");
  logs->footer(kLogsExamples);
  logs->callback([&] {
    inputs.logs.config = inputs.config;
    inputs.chosen = inputs.logs;
  });
}

void add_explain(CLI::App& app, Inputs& inputs) {
  CLI::App* explain = app.add_subcommand("explain", "Tell why a request went where it went");
  add_config_file(*explain, inputs.config);
  add_admin(*explain, inputs.config);
  add_json(*explain, inputs);
  explain->add_option("REQUEST_ID", inputs.word, "The X-Request-ID of its answer")
      ->required()
      ->type_name("");
  explain->footer(kExplainExamples);
  explain->callback([&] {
    if (inputs.word.empty()) throw CLI::ValidationError("the request's ID is empty");
    inputs.chosen = ExplainCommand{inputs.config, inputs.output(), inputs.word};
  });
}

void add_prove(CLI::App& app, Inputs& inputs) {
  CLI::App* prove = app.add_subcommand("prove", "Measure what all instances give beside one");
  add_config_file(*prove, inputs.config);
  add_admin(*prove, inputs.config);
  prove->add_option("--model", inputs.prove.model, "Default: one that the instances have loaded")
      ->type_name("NAME");
  prove->add_option("--seconds", inputs.prove.seconds, "For one instance, and again for all")
      ->type_name("N")
      ->check(CLI::Range(1U, 3600U))
      ->capture_default_str();
  prove->add_option("--parallel", inputs.prove.parallel, "Requests at once for each instance")
      ->type_name("N")
      ->check(CLI::Range(1U, 256U))
      ->capture_default_str();
  add_json(*prove, inputs);
  prove->footer(kProveExamples);
  prove->callback([&] {
    inputs.prove.config = inputs.config;
    inputs.prove.output = inputs.output();
    inputs.chosen = inputs.prove;
  });
}

// What does not go together. `list`: of scenarios.
void check_sim(const CLI::App& sim, const SimCommand& given, bool list) {
  const int sources = (list ? 1 : 0) + (given.scenario ? 1 : 0) + (given.trace_file ? 1 : 0) +
                      (given.matrix ? 1 : 0);
  if (sources != 1) {
    throw CLI::ValidationError("name one scenario, or say --list, --matrix PREFIX or --trace FILE");
  }
  if (given.matrix && (given.policies.size() != 2 || given.svg_file)) {
    throw CLI::ValidationError(
        "--matrix compares two policies: name them with --policy A,B, and nothing is drawn");
  }
  if (!given.trace_file && (given.add_gpu || !given.gpus.empty())) {
    throw CLI::ValidationError("--gpu and --add-gpu belong to --trace");
  }
  if (given.capacity && (!given.scenario || sim.count("--load") > 0)) {
    throw CLI::ValidationError("--capacity finds the load of a scenario: name one, and no --load");
  }
  if (given.capacity && given.svg_file) {
    throw CLI::ValidationError("--capacity draws nothing: leave out --svg");
  }
  if (given.time && (given.matrix || given.capacity)) {
    throw CLI::ValidationError("--time goes with one scenario at one load, or with --trace");
  }
  for (const char* option : {"--load", "--requests"}) {
    if (given.trace_file && sim.count(option) > 0) {
      throw CLI::ValidationError(fmt::format("{} cannot go with --trace: it has its own", option));
    }
  }
}

void add_sim(CLI::App& app, Inputs& inputs) {
  CLI::App* sim = app.add_subcommand("sim", "Compare policies in a simulated fleet");
  SimCommand& into = inputs.sim;
  sim->add_option("SCENARIO", into.scenario, "A fleet and its traffic; see --list")->type_name("");
  sim->add_flag("--list", inputs.list, "Name the scenarios, one a line");
  sim->add_option("--policy", into.policies,
                  "Policies, separated by commas; ratios are against the first (default "
                  "least_loaded,affinity,expected_completion,clairvoyant)")
      ->type_name("A,B")
      ->delimiter(',')
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  sim->add_option("--seeds", into.seeds, "Runs of each policy, each with other traffic")
      ->type_name("N")
      ->check(CLI::Range(1U, 1000U))
      ->capture_default_str();
  sim->add_option("--first-seed", into.first_seed, "The first of them; the others follow it")
      ->type_name("N")
      ->check(CLI::Range(1U, 1'000'000U))
      ->capture_default_str();
  sim->add_option("--load", into.load,
                  "Part of the capacity that is asked for (default 0.9; with --matrix 0.5 and 0.9)")
      ->type_name("X")
      ->check(CLI::Range(0.01, 10.0));
  sim->add_option("--matrix", into.matrix,
                  "Instead of one scenario all whose names begin so, and two policies")
      ->type_name("PREFIX");
  sim->add_flag("--capacity", into.capacity,
                "Find the highest rate at which each policy gives 95 % good answers");
  sim->add_option("--requests", into.requests, "In each run")
      ->type_name("N")
      ->check(CLI::Range(100U, 10'000'000U))
      ->capture_default_str();
  sim->add_flag(
      "--time", into.time,
      "Tell how long the scheduler takes for an event, too: that differs from run to run");
  sim->add_option("--json", into.json_file, "Write everything there, for programs")
      ->type_name("FILE");
  sim->add_option("--svg", into.svg_file, "Draw the comparison there")->type_name("FILE");
  sim->footer(kSimExamples);
  sim->add_option("--trace", into.trace_file,
                  "Recorded traffic instead: drover's log, Azure LLM, BurstGPT or Mooncake")
      ->type_name("FILE");
  add_list(*sim, "--gpu", into.gpus, "GPU",
           "With --trace, one of the fleet, as 24GB or rtx3090; repeat for more");
  sim->add_option("--add-gpu", into.add_gpu, "With --trace: what would one more change?")
      ->type_name("GPU");
  sim->callback([&inputs, sim] {
    check_sim(*sim, inputs.sim, inputs.list);
    inputs.chosen = inputs.sim;
  });
}

void add_verbs(CLI::App& app, Inputs& inputs) {
  CLI::App* serve = app.add_subcommand("serve", "Serve clients in the foreground");
  add_config_options(*serve, inputs.config);
  serve->footer(kServeExamples);
  serve->callback([&] { inputs.chosen = ServeCommand{inputs.config}; });

  CLI::App* check = app.add_subcommand("check", "Check the configuration and show what holds");
  add_config_options(*check, inputs.config);
  add_json(*check, inputs);
  check->add_flag("--schema", inputs.schema, "Print the JSON Schema of the configuration file");
  check->footer(kCheckExamples);
  check->callback([&] {
    const CheckWhat what = inputs.schema ? CheckWhat::kPrintSchema : CheckWhat::kConfiguration;
    inputs.chosen = CheckCommand{inputs.config, inputs.output(), what};
  });

  CLI::App* status = app.add_subcommand("status", "Show the instances of a running drover");
  add_config_file(*status, inputs.config);
  add_admin(*status, inputs.config);
  add_json(*status, inputs);
  status->footer(kStatusExamples);
  status->callback([&] { inputs.chosen = StatusCommand{inputs.config, inputs.output()}; });

  add_backends(app, inputs);
  add_models(app, inputs);

  CLI::App* gpus = app.add_subcommand("gpus", "Show the GPUs, who uses them and who is pinned");
  add_config_file(*gpus, inputs.config);
  add_admin(*gpus, inputs.config);
  add_json(*gpus, inputs);
  gpus->footer(kGpusExamples);
  gpus->callback([&] { inputs.chosen = GpusCommand{inputs.config, inputs.output()}; });

  add_logs(app, inputs);
  add_explain(app, inputs);
  add_prove(app, inputs);
  add_sim(app, inputs);

  CLI::App* version = app.add_subcommand("version", "Print the version");
  add_json(*version, inputs);
  version->footer(kVersionExamples);
  version->callback([&] { inputs.chosen = VersionCommand{inputs.output()}; });

  CLI::App* demo = app.add_subcommand("demo", "Show drover at work with simulated instances");
  demo->footer(kDemoExamples);
  demo->callback([&] { inputs.chosen = DemoCommand{}; });

  add_systemd(app, inputs);

  CLI::App* completion = app.add_subcommand("completion", "Print completions for a shell");
  add_word(*completion, "shell", inputs.word, kShellWords);
  completion->footer(kCompletionExamples);
  completion->callback([&] {
    inputs.chosen = CompletionCommand{static_cast<Shell>(place_of(inputs.word, kShellWords))};
  });
}

// The whole definition, before anything is read with it.
void define(CLI::App& app, Inputs& inputs) {
  app.require_subcommand(0, 1);
  app.set_help_flag("-h,--help", "Print this help and leave");
  add_verbs(app, inputs);
  app.get_formatter()->label("SUBCOMMAND", "VERB");
  for (CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    verb->group("Verbs");
  }
}

Printed wrong_use(std::string_view message, std::string_view help_of) {
  const std::string verb = help_of.empty() ? "" : fmt::format(" {}", help_of);
  return {kWrongUse, "", fmt::format("drover: {}\nTry: drover{} --help\n", message, verb)};
}

std::string quote(std::string_view text) { return config::quote(text); }

std::vector<std::string> verb_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(verb->get_name());
  }
  return names;
}

std::string guess(std::string_view word, const std::vector<std::string>& known) {
  const std::vector<std::string_view> views(known.begin(), known.end());
  const auto near = config::nearest(word, views);
  return near ? fmt::format("; did you mean {}?", *near) : std::string();
}

const CLI::App* chosen_verb(const CLI::App& app) {
  const auto verbs = app.get_subcommands();
  return verbs.empty() ? nullptr : verbs.front();
}

// An argument that no option or verb took.
Printed explain_extra(const CLI::App& app, std::string_view word) {
  const CLI::App* verb = chosen_verb(app);
  const CLI::App* action = verb == nullptr ? nullptr : chosen_verb(*verb);
  if (!word.starts_with('-')) {
    return wrong_use(fmt::format("{} is not expected here", quote(word)),
                     verb == nullptr ? "" : verb->get_name());
  }
  const CLI::App& home = action != nullptr ? *action : verb != nullptr ? *verb : app;
  std::vector<std::string> known;
  for (const CLI::Option* option : home.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  const std::string_view option = word.substr(0, word.find('='));
  return wrong_use(fmt::format("unknown option {}{}", quote(option), guess(option, known)),
                   verb == nullptr ? "" : verb->get_name());
}

Printed explain(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* verb = chosen_verb(app);
  if (dynamic_cast<const CLI::CallForHelp*>(&error) != nullptr ||
      dynamic_cast<const CLI::CallForAllHelp*>(&error) != nullptr) {
    return {kDone, app.help(), ""};  // of the chosen verb, if any
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    const std::vector<std::string> extras = app.remaining(true);
    if (!extras.empty()) return explain_extra(app, extras.front());
  }
  return wrong_use(error.what(), verb == nullptr ? "" : verb->get_name());
}

}  // namespace

int print(const Printed& printed) {
  std::fwrite(printed.out.data(), 1, printed.out.size(), stdout);
  std::fflush(stdout);
  std::fwrite(printed.err.data(), 1, printed.err.size(), stderr);
  return printed.exit_code;
}

std::vector<VerbText> describe() {
  CLI::App app(kIntro, "drover");
  Inputs inputs;
  define(app, inputs);
  std::vector<VerbText> verbs;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    VerbText text{verb->get_name(), verb->get_description(), {}, {}};
    for (const CLI::Option* option : verb->get_options()) {
      if (option->get_lnames().empty()) continue;
      text.options.push_back({"--" + option->get_lnames().front(),
                              option->get_expected_min() == 0 ? "" : option->get_type_name(),
                              option->get_description()});
    }
    if (text.name == "systemd") text.words = kSystemdWords;
    if (text.name == "completion") text.words = kShellWords;
    verbs.push_back(std::move(text));
  }
  return verbs;
}

std::variant<Command, Printed> read(const std::vector<std::string>& arguments) {
  CLI::App app(kIntro, "drover");
  Inputs inputs;
  define(app, inputs);
  if (arguments.empty()) return Printed{kWrongUse, "", app.help()};
  const std::string& first = arguments.front();
  if (first == "--version") return Command{VersionCommand{}};
  const std::vector<std::string> verbs = verb_names(app);
  const bool known = std::find(verbs.begin(), verbs.end(), first) != verbs.end();
  if (!known && !first.starts_with('-')) {
    return wrong_use(fmt::format("unknown verb {}{}", quote(first), guess(first, verbs)), "");
  }
  try {
    // CLI11 takes its arguments last first.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    return explain(app, error);
  } catch (const std::exception& error) {
    return wrong_use(error.what(), "");
  }
  if (!inputs.chosen) return wrong_use("no verb was given", "");
  return *std::move(inputs.chosen);
}

Parsed parse(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  std::variant<Command, Printed> outcome = read(arguments);
  if (auto* command = std::get_if<Command>(&outcome)) return {std::move(*command), kDone};
  return {std::nullopt, print(std::get<Printed>(outcome))};
}

}  // namespace drover::cli
