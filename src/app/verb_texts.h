#pragma once
// What `drover --help` says first, and behind the options of each verb: examples that can be
// copied, and what an exit code means. Read by cli.cc.

namespace drover::cli {

inline constexpr char kIntro[] =
    "drover puts one address in front of several Ollama instances.\n"
    "\n"
    "Start here:\n"
    "  drover serve                 serve what is found or configured\n"
    "  drover check                 is the configuration right?\n"
    "  drover status                what is it doing at the moment?\n"
    "  drover gpus                  which GPUs are there, and who uses them?\n"
    "  drover backends list         the instances, and what can be done to them\n"
    "  drover models list           the models of the fleet, and where they are loaded\n"
    "  drover logs -f               what do the instances write?\n"
    "  drover explain REQUEST_ID    why did that request go where it went?\n"
    "  drover prove                 how much faster are all of them than one?\n"
    "  drover sim --list            how would a policy do elsewhere? In a simulated fleet";

inline constexpr char kServeExamples[] =
    "Examples:\n"
    "  drover serve --backend http://127.0.0.1:11435 --backend http://gpu2:11434\n"
    "  drover serve --config drover.yaml\n"
    "  DROVER_BACKENDS=http://a:11434,http://b:11434 drover serve\n"
    "\n"
    "A flag wins over the environment (DROVER_LISTEN, DROVER_ADMIN, DROVER_POLICY,\n"
    "DROVER_BACKENDS, DROVER_CONFIG), which wins over the file, which wins over defaults.";

inline constexpr char kCheckExamples[] =
    "Examples:\n"
    "  drover check --config drover.yaml\n"
    "  drover check --json | jq .errors\n"
    "  drover check --schema > drover.schema.json    for completion in your editor\n"
    "\n"
    "Exit code 0: fine. 1: every error was printed as file:line:column: message.";

inline constexpr char kStatusExamples[] =
    "Examples:\n"
    "  drover status\n"
    "  drover status --admin 127.0.0.1:11436 --json | jq '.instances[].health'";

inline constexpr char kBackendsExamples[] =
    "Examples:\n"
    "  drover backends list\n"
    "  drover backends drain gpu0         it finishes what it has and gets nothing new\n"
    "  drover backends undrain gpu0\n"
    "  drover backends restart gpu0       drained first; --grace SECONDS bounds that\n"
    "  drover backends restart --all --rolling\n"
    "\n"
    "A rolling restart goes on when an instance serves again, and stops at the first that does "
    "not:\n"
    "then it says what it left alone and exits with 1.";

inline constexpr char kModelsExamples[] =
    "Examples:\n"
    "  drover models list\n"
    "  drover models pull qwen3:4b        on every store\n"
    "  drover models sync                 what 'models' in the configuration says, now\n"
    "  drover models load qwen3:4b        on one instance, before anybody asks\n"
    "  drover models unload qwen3:4b      out of the memory of all instances\n"
    "  drover models rm qwen3:4b          out of memory, and off every store\n"
    "\n"
    "Exit code 1: something failed; the line says in which store, and the same again mends it.";

inline constexpr char kGpusExamples[] =
    "Examples:\n"
    "  drover gpus\n"
    "  drover gpus --json | jq '.devices[].uuid'\n"
    "\n"
    "A running drover is asked, because it knows which instance is pinned where; without one\n"
    "the GPUs are read here. DROVER_NVML_LIBRARY names NVIDIA's library when it lies in an\n"
    "unusual place.";

inline constexpr char kLogsExamples[] =
    "Examples:\n"
    "  drover logs\n"
    "  drover logs gpu0 gpu1 --lines 20\n"
    "  drover logs -f | grep -i error\n"
    "\n"
    "What the instances wrote that drover runs: NAME.log in its state directory, with those that\n"
    "were full and put aside. drover's own lines go where it was started.";

inline constexpr char kExplainExamples[] =
    "Examples:\n"
    "  drover explain 00000000000002f\n"
    "  drover explain my-request-7 --json | jq -r .why\n"
    "\n"
    "The ID is the X-Request-ID of the answer, and 'id' in drover's log. The latest requests are\n"
    "remembered, once they are over; older ones are in the log. Exit code 1: this one is not.";

inline constexpr char kProveExamples[] =
    "Examples:\n"
    "  drover prove\n"
    "  drover prove --model llama3.2 --parallel 8 --seconds 60\n"
    "  drover prove --json | jq .ratio\n"
    "\n"
    "Loads one instance directly, then all of them through the drover that runs, with the same\n"
    "load for each, and compares tokens per second. The fleet should be idle otherwise.\n"
    "Exit code 0: measured. 1: it could not be, or an instance went away meanwhile.";

inline constexpr char kSimExamples[] =
    "Examples:\n"
    "  drover sim --list\n"
    "  drover sim fits-poisson-sessions-one\n"
    "  drover sim over-bursts-agents-ten --policy least_loaded,affinity --seeds 9 --load 0.7\n"
    "  drover sim crash --json crash.json --svg crash.svg\n"
    "  drover sim --trace drover.log --gpu 24GB --gpu 24GB --add-gpu 24GB\n"
    "\n"
    "Policies: expected_completion, least_loaded and round_robin, drover's own, the very code\n"
    "that serves; the first also with a short queue.wait (_5s, _60s) and with knowledge\n"
    "(_taught, _told); and to compare with: random, least_connections, two_choices, model_hash,\n"
    "affinity, early_completion and clairvoyant. The same seeds always give the same numbers.\n"
    "No Ollama and no GPU is needed.";

inline constexpr char kVersionExamples[] =
    "Examples:\n"
    "  drover version\n"
    "  drover version --json";

inline constexpr char kDemoExamples[] =
    "Examples:\n"
    "  drover demo\n"
    "\n"
    "Takes some twenty seconds. Needs no Ollama and no GPU: three simulated instances and a "
    "drover\n"
    "are started on free ports, loaded, killed and started again; the terminal tells the story.";

inline constexpr char kSystemdExamples[] =
    "Examples:\n"
    "  drover systemd print                         every file, each after a line \"# PATH\"\n"
    "  sudo drover systemd install --take-over      replace ollama.service; models are kept\n"
    "  sudo drover systemd uninstall                everything as it was before\n"
    "\n"
    "One Ollama for each GPU, owned and restarted by systemd, and drover in front of them.";

inline constexpr char kCompletionExamples[] =
    "Examples:\n"
    "  drover completion bash > ~/.local/share/bash-completion/completions/drover\n"
    "  drover completion zsh > ~/.zfunc/_drover\n"
    "  drover completion fish > ~/.config/fish/completions/drover.fish";

}  // namespace drover::cli
