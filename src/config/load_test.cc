#include "config/load.h"

#include <gtest/gtest.h>

namespace drover::config {
namespace {

std::string all(std::string_view text) {
  std::string out;
  for (const Problem& problem : load(text, "f").errors) out += problem.render() + "\n";
  return out;
}

struct Case {
  const char* text;
  const char* expected;
};

class Refusals : public testing::TestWithParam<Case> {};

TEST_P(Refusals, AreOneSentenceWithPlaceAndRemedy) {
  EXPECT_EQ(all(GetParam().text), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Keys, Refusals,
    testing::Values(
        Case{"polcy: x\n", "f:1:1: unknown key 'polcy'; did you mean 'policy'?\n"},
        Case{"timeouts:\n  conect: 1s\n", "f:2:3: unknown key 'conect'; did you mean 'connect'?\n"},
        Case{"connect: 1s\n", "f:1:1: unknown key 'connect'; 'connect' belongs under 'timeouts'\n"},
        Case{"limits:\n  policy: round_robin\n",
             "f:2:3: unknown key 'policy'; 'policy' belongs at the top level\n"},
        Case{"retries:\n  zzzzzzzzzz: 1\n",
             "f:2:3: unknown key 'zzzzzzzzzz'; known here are max, budget or budget_min\n"},
        Case{"limits.fields: 20\n",
             "f:1:1: unknown key 'limits.fields'; write 'fields' under 'limits:'\n"},
        Case{"policy: round_robin\npolicy: least_loaded\n",
             "f:2:1: key 'policy' is given twice, first on line 1; keep one\n"}));

INSTANTIATE_TEST_SUITE_P(
    Shapes, Refusals,
    testing::Values(
        Case{
            "- a\n",
            "f:1:1: a configuration is a mapping of keys, such as 'policy: least_loaded', but this "
            "is a list\n"},
        Case{"policy:\n  a: b\n",
             "f:2:3: 'policy' must be a plain value such as expected_completion, but is a mapping "
             "of "
             "keys\n"},
        Case{"policy:\n", "f:1:1: 'policy' has no value; write one or remove the key\n"},
        Case{"limits: 3\n",
             "f:1:9: 'limits' must be a mapping of keys, each on its own line and indented, but is "
             "a plain value\n"},
        Case{"backends: http://a:1\n",
             "f:1:11: 'backends' must be a list, each entry on its own line after '- ', but is a "
             "plain value\n"},
        Case{"listen: []\n",
             "f:1:9: 'listen' is empty, so no client could connect; write an address such as "
             "127.0.0.1:11434\n"},
        Case{"backends:\n  - name: a\n",
             "f:2:5: this instance has no url; add one such as 'url: http://127.0.0.1:11434'\n"},
        Case{"backends:\n  - [a]\n",
             "f:2:5: an instance must be a URL or a mapping with 'url', but this is a list\n"}));

INSTANTIATE_TEST_SUITE_P(
    Values, Refusals,
    testing::Values(
        Case{"policy: least_loadd\n",
             "f:1:9: 'policy' must be round_robin, least_loaded or expected_completion, not "
             "'least_loadd'; did you mean "
             "'least_loaded'?\n"},
        Case{"loops: 65\n",
             "f:1:8: 'loops' must be auto or a whole number from 1 to 64, not '65'\n"},
        Case{"limits:\n  fields: 5\n", "f:2:11: 'fields' must be from 16 to 1000, not '5'\n"},
        Case{"fairness: {tenant_header: 'X Tenant'}\n",
             "f:1:27: 'tenant_header' must be auto or the name of a header such as X-Tenant, not "
             "'X Tenant'\n"},
        Case{"limits: {spill_dir: tmp}\n",
             "f:1:21: 'spill_dir' must be an absolute path such as /tmp, not 'tmp'\n"},
        Case{"timeouts:\n  connect: 5\n",
             "f:2:12: 'connect' must be a time with a unit (ms, s, m or h), such as 2s, not '5'\n"},
        Case{"backends:\n  - url: 127.0.0.1:1\n",
             "f:2:10: '127.0.0.1:1' lacks its scheme; write http://127.0.0.1:1\n"},
        Case{"backends:\n  - {url: \"http://a:1\", name: a b}\n",
             "f:2:31: 'name' must be 1 to 64 letters, digits or . _ - : [ ], such as gpu0, not "
             "'a b'\n"},
        Case{"backends:\n  - {url: \"http://a:1\", parallel: 0}\n",
             "f:2:35: 'parallel' must be from 1 to 65536, not '0'\n"},
        Case{"backends:\n  - {url: \"http://a:1\", max_in_flight: 0}\n",
             "f:2:40: 'max_in_flight' must be from 1 to 65536, not '0'\n"},
        Case{"trust: [10.0.0.1/8]\n",
             "f:1:9: '10.0.0.1/8' names an address and not a network: bits behind the "
             "first 8 are set; write 10.0.0.1/32 for this address alone\n"},
        Case{"aliases: {fast: []}\n",
             "f:1:11: alias 'fast' stands for no model; write fast: [qwen3:4b]\n"},
        Case{"aliases: {fast: a, Fast:latest: b}\n",
             "f:1:20: alias 'Fast:latest' is given twice; keep one\n"},
        Case{"aliases: {fast: quick, quick: a}\n",
             "f:1:24: alias 'quick' is what alias 'fast' stands for; name a model there\n"},
        Case{"aliases: [fast]\n",
             "f:1:10: 'aliases' must be a mapping such as 'fast: [qwen3:4b, llama3.2:3b]', but is "
             "a list\n"},
        Case{"num_ctx: {steps: [8192, 4096]}\n",
             "f:1:25: 'steps' must be whole numbers from 1 to 16777216, each larger than the one "
             "before, and '4096' is not\n"},
        Case{"num_ctx: {rule: keep}\n",
             "f:1:17: 'rule' must be normalise, pass or refuse, not 'keep'\n"},
        Case{"models: [{name: a}, {name: A:latest}]\n",
             "f:1:21: model 'A:latest' is given twice; keep one\n"},
        Case{"models: [{num_ctx: pass}]\n",
             "f:1:10: this model has no name; add one such as 'name: qwen3:4b'\n"},
        Case{"models: [{name: a, num_ctx: 4096}]\n",
             "f:1:29: 'num_ctx' must be normalise, pass or refuse, not '4096'\n"},
        Case{"models: [{name: a, copies: none}]\n",
             "f:1:28: 'copies' must be a whole number, not 'none'\n"},
        Case{"models: [a]\n",
             "f:1:10: a model must be a mapping such as 'name: qwen3:4b', but this is a plain "
             "value\n"},
        Case{"trust: [home]\n",
             "f:1:9: 'home' is not a network; write an address and the bits that count, "
             "such as 172.17.0.0/16\n"},
        Case{"trust: [\"10.0.0.0\\0/8\"]\n",
             "f:1:9: '10.0.0.0\\x00/8' is not a network; write an address and the bits that count, "
             "such as 172.17.0.0/16\n"},
        Case{
            "trust: [\"\\x1b[2J\"]\n",
            "f:1:9: '\\x1b[2J' is not a network; write an address and the bits that count, such as "
            "172.17.0.0/16\n"},
        Case{"allowed_hosts: [\"a:1\"]\n",
             "f:1:17: 'a:1' has a port; write only the host name, which holds for every port\n"},
        Case{"allowed_origins: [\"https://a/b\"]\n",
             "f:1:19: 'https://a/b' has more than scheme, host and port; an origin has no path or "
             "user name\n"},
        Case{"allowed_origins: [chat]\n",
             "f:1:19: 'chat' is no origin; write scheme and host, such as "
             "https://chat.example.com\n"}));

INSTANTIATE_TEST_SUITE_P(
    Together, Refusals,
    testing::Values(
        Case{"backends:\n  - http://localhost:1\n  - http://127.0.0.1:1\n",
             "f:3:5: http://127.0.0.1:1 is the same instance as 'localhost:1' (line 2); list it "
             "once\n"},
        Case{"backends:\n  - {url: \"http://a:1\", name: x}\n  - {url: \"http://b:1\", name: x}\n",
             "f:3:11: two instances are named 'x' (line 2); give each its own name\n"},
        Case{"listen: 127.0.0.1:11434\nbackends:\n  - http://localhost:11434\n",
             "f:3:5: http://localhost:11434 is drover's own listen address 127.0.0.1:11434 (line "
             "1), so "
             "requests would go round in circles; change one of the two\n"},
        Case{"backends:\n  - http://127.0.0.1:11436\n",
             "f:2:5: http://127.0.0.1:11436 is drover's own admin address 127.0.0.1:11436; change "
             "one of the two\n"},
        Case{"listen: [127.0.0.1:1, 0.0.0.0:1]\n",
             "f:1:23: 0.0.0.0:1 and 127.0.0.1:1 (line 1) cannot both be listened on; keep one\n"},
        Case{"admin: 127.0.0.1:11434\n",
             "f:1:8: clients (127.0.0.1:11434) and the admin side (127.0.0.1:11434) cannot share a "
             "port; give one of them another port\n"},
        Case{"limits: {head_bytes: 8KiB}\n",
             "f:1:22: 'target_bytes' (8KiB) must be less than 'head_bytes' (8KiB), which holds the "
             "target and all fields\n"}));

TEST(Load, AnEmptyFileIsTheDefaults) {
  for (const char* text : {"", "# nothing\n", "---\n", "limits:\n", "backends:\n"}) {
    const LoadResult result = load(text, "f");
    EXPECT_TRUE(result.ok()) << text;
    EXPECT_EQ(result.config, Config{}) << text;
    EXPECT_TRUE(result.warnings.empty()) << text;
  }
}

TEST(Load, ReadsEveryKind) {
  const LoadResult result = load(
      "listen: [127.0.0.1:1000, \"[::1]:1000\"]\nadmin: localhost:1001\npolicy: round_robin\n"
      "loops: 4\nallowed_hosts: [\"*.Example.com\", \"::1\", \"*\"]\n"
      "allowed_origins: [\"HTTPS://Chat:8443\", app://*, \"*\"]\n"
      "backends:\n  - http://gpu1:11434\n"
      "  - {url: \"http://gpu2:11434/\", name: second, max_in_flight: 7, parallel: 9}\n"
      "limits: {body_bytes: 5MB}\ntimeouts: {drain: 0s}\nretries: {budget: 0.5, max: 0}\n"
      "queue: {requests: 7, wait: 30s}\nfairness: {tenant_header: X-Tenant, priorities: none}\n"
      "log: {level: debug, format: json}\n",
      "f");
  ASSERT_TRUE(result.ok()) << result.errors.front().render();
  const Config& config = result.config;
  EXPECT_EQ(config.listen, (std::vector<HostPort>{{"127.0.0.1", 1000}, {"::1", 1000}}));
  EXPECT_EQ(config.admin, (HostPort{"localhost", 1001}));
  EXPECT_EQ(config.policy, Policy::kRoundRobin);
  EXPECT_EQ(config.loops, 4u);
  EXPECT_EQ(config.allowed_hosts, (std::vector<std::string>{"*.example.com", "::1", "*"}));
  EXPECT_EQ(config.allowed_origins,
            (std::vector<std::string>{"https://chat:8443", "app://*", "*"}));
  ASSERT_EQ(config.backends.size(), 2u);
  EXPECT_EQ(config.backends[0].name, "gpu1:11434");
  EXPECT_EQ(config.backends[1].name, "second");
  EXPECT_EQ(config.backends[1].url, "http://gpu2:11434");
  EXPECT_EQ(config.backends[1].max_in_flight, 7u);
  EXPECT_EQ(config.backends[0].parallel, std::nullopt);
  EXPECT_EQ(config.backends[1].parallel, 9u);
  EXPECT_EQ(config.limits.body_bytes, 5'000'000u);
  EXPECT_EQ(config.timeouts.drain, Duration::zero());
  EXPECT_DOUBLE_EQ(config.retries.budget, 0.5);
  EXPECT_EQ(config.queue.requests, 7U);
  EXPECT_EQ(config.queue.wait, std::chrono::seconds(30));
  EXPECT_EQ(config.fairness.tenant_header, "X-Tenant");
  EXPECT_EQ(config.fairness.priorities, Priorities::kNone);
  EXPECT_EQ(config.log.level, LogLevel::kDebug);
  EXPECT_EQ(config.log.format, LogFormat::kJson);
}

TEST(Load, ReportsAllErrorsInTheOrderOfTheText) {
  EXPECT_EQ(all("policy: x\nadmin: y\nlimits:\n  fields: z\n  nope: 1\n"),
            "f:1:9: 'policy' must be round_robin, least_loaded or expected_completion, not 'x'\n"
            "f:2:8: 'y' has no port; write y:11436\n"
            "f:4:11: 'fields' must be a whole number, not 'z'\n"
            "f:5:3: unknown key 'nope'; known here are head_bytes, fields, target_bytes, "
            "body_bytes, spill_bytes, body_memory, spill_dir, connections, head_timeout, "
            "body_stall_timeout, "
            "idle_timeout or write_stall_timeout\n");
}

TEST(Load, ReadsHowOllamaIsRun) {
  const Config config = load(
                            "ollama:\n  supervise: always\n  models: /data/models\n  parallel: 2\n"
                            "  environment: [OLLAMA_KV_CACHE_TYPE=q8_0]\n  instances:\n"
                            "    - gpus: [GPU-1f, 1]\n      name: pair\n    - gpus: []\n"
                            "      port: 11500\nstate_dir: /srv/drover\n",
                            "f")
                            .config;
  EXPECT_EQ(config.ollama.supervise, Supervise::kAlways);
  EXPECT_EQ(config.ollama.models, "/data/models");
  EXPECT_EQ(config.ollama.parallel, 2u);
  EXPECT_EQ(config.ollama.environment, std::vector<std::string>{"OLLAMA_KV_CACHE_TYPE=q8_0"});
  ASSERT_EQ(config.ollama.instances.size(), 2u);
  EXPECT_EQ(config.ollama.instances[0].gpus, (std::vector<std::string>{"GPU-1f", "1"}));
  EXPECT_EQ(config.ollama.instances[1].port, 11500);
  EXPECT_EQ(config.state_dir, "/srv/drover");
}

TEST(Load, WrongWaysToRunOllamaAreNamedWithTheirPlaces) {
  EXPECT_EQ(all("ollama:\n  models: models\n  environment: [x, OLLAMA_HOST=a]\n  instances:\n"
                "    - name: a\n      port: 1\n    - name: a\n      port: 1\n    - 0\n"),
            "f:2:11: 'models' must be auto or an absolute path, not 'models'\n"
            "f:3:17: 'x' is no variable; write NAME=value, such as OLLAMA_FLASH_ATTENTION=1\n"
            "f:3:20: 'OLLAMA_HOST' is set by drover itself; choose GPUs with 'gpus' and the port "
            "with 'port'\n"
            "f:7:7: two instances are named 'a' (line 5); give each its own name\n"
            "f:7:7: two instances have port 1 (line 5); give each its own port\n"
            "f:9:7: a supervised instance must be a mapping such as 'gpus: [0]', but this is a "
            "plain value\n");
}

TEST(Load, ManyErrorsAreCutWithACount) {
  std::string text;
  for (int i = 0; i < 500; ++i) text += "zzz" + std::to_string(i) + ": 1\n";
  const LoadResult result = load(text, "f");
  ASSERT_EQ(result.errors.size(), kMaxProblems + 1);
  EXPECT_EQ(result.errors.back().render(), "and 450 more; correct these first");
}

TEST(Load, KeysOfAHostileFileAreShownHarmlessly) {
  EXPECT_EQ(all("\"a\\e[2Jb\": 1\n").substr(0, 37), "f:1:1: unknown key 'a\\x1b[2Jb'; known");
}

TEST(Load, WarnsOfAnAdminAddressThatOthersCanReach) {
  const LoadResult result = load("admin: 0.0.0.0:11436\n", "f");
  EXPECT_TRUE(result.ok());
  ASSERT_EQ(result.warnings.size(), 1u);
  EXPECT_EQ(result.warnings[0].render(),
            "f:1:8: the admin address 0.0.0.0:11436 can be reached from other machines and asks "
            "for no key, so everybody there can look at this drover; 127.0.0.1:11436 is safe");
}

}  // namespace
}  // namespace drover::config
