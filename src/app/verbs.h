#pragma once
// The verbs that do their work and end. Each returns what it has to say; main prints it.

#include "app/cli.h"
#include "app/systemd_layout.h"
#include "config/discover.h"

namespace drover::app {

// Reports every error and warning of the effective configuration, or a summary of it. With
// kPrintSchema: the JSON Schema of the configuration file.
cli::Printed run_check(const cli::CheckCommand& command, const config::Environment& environment);

// Asks a running drover over its admin address, for at most three seconds.
cli::Printed run_status(const cli::StatusCommand& command, const config::Environment& environment);

// Asks a running drover to drain, undrain or restart instances, and waits for restarts: for each at
// most the grace and two minutes more.
cli::Printed run_backends(const cli::BackendsCommand& command,
                          const config::Environment& environment);

// What the fleet has, and changes of it, through the address where a running drover takes clients.
cli::Printed run_models(const cli::ModelsCommand& command, const config::Environment& environment);

// The GPUs as a running drover knows them, else as they are read here. Without a GPU it says so.
cli::Printed run_gpus(const cli::GpusCommand& command, const config::Environment& environment);

// What became of one request, and why it went where it did, as a running drover remembers it.
cli::Printed run_explain(const cli::ExplainCommand& command,
                         const config::Environment& environment);

// Loads a running drover and one of its instances for the given time and compares. Says on standard
// error what it does meanwhile, unless the output is for a program.
cli::Printed run_prove(const cli::ProveCommand& command, const config::Environment& environment);

// Compares policies in a simulated fleet, or lists what can be simulated. Says on standard error
// what it does meanwhile, if that is a terminal.
cli::Printed run_sim(const cli::SimCommand& command);

cli::Printed run_version(const cli::VersionCommand& command);

// Prints the units, or installs or uninstalls them; says each step as it is done.
cli::Printed run_systemd(const cli::SystemdCommand& command, const config::Environment& environment,
                         const GpuSource& gpus);

cli::Printed run_completion(const cli::CompletionCommand& command);

}  // namespace drover::app
