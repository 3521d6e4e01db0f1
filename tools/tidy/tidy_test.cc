// Every rule of the table, tried on a snippet that must pass and one that must fail. A rule without
// such a pair fails `EveryRuleIsTried`.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "rules.h"

namespace tidy {
namespace {

struct Source {
  std::string path;
  std::string text;
};

struct Sample {
  std::string rule;
  std::vector<Source> passes;
  std::vector<Source> fails;
};

// Snippets are joined from pieces where this file would break the rule by quoting it.
const std::string kPrivate = std::string("/wo") + "rk/";

std::string lines(int count, const std::string& line) {
  std::string text;
  for (int i = 0; i < count; ++i) text += line + "\n";
  return text;
}

Source header(std::string text) { return {"src/core/a.h", "#pragma once\n" + std::move(text)}; }
Source source(std::string text) { return {"src/core/a.cc", std::move(text)}; }

std::vector<Sample> include_samples() {
  return {
      {"include-direction",
       {{"src/net/a.cc", "#include \"wire/head.h\"\n"}},
       {{"src/net/a.cc", "#include \"core/fleet.h\"\n"}}},
      {"include-direction",
       {{"src/engine/a.cc", "#include \"net/loop.h\"\n"}},
       {{"src/engine/a.cc", "#include \"net/stream.h\"\n"}}},
      {"include-direction",
       {{"src/app/a.cc", "#include \"core/fleet.h\"\n"}},
       {{"src/wire/a.cc", "#include \"head.h\"\n"}}},
      {"include-direction",
       {{"test/simnet/a.cc", "#include \"net/loop.h\"\n"}},
       {{"src/novel/a.cc", "int a;\n"}}},
      {"include-direction",
       {{"src/net/a_test.cc", "#include \"simnet/world.h\"\n"}},
       {{"src/net/a.cc", "#include \"simnet/world.h\"\n"}}},
      {"pure-core", {source("#include <vector>\n")}, {source("#include <thread>\n")}},
      {"pure-core",
       {{"src/net/a.cc", "#include <sys/socket.h>\n"}},
       {{"src/wire/a.cc", "#include <sys/socket.h>\n"}}},
      {"own-header-first",
       {header(""), source("#include \"core/a.h\"\n#include <vector>\n")},
       {header(""), source("#include <vector>\n#include \"core/a.h\"\n")}},
      {"pragma-once", {header("int a;\n")}, {{"src/core/a.h", "int a;\n"}}},
  };
}

std::vector<Sample> length_samples() {
  const std::string wide(101, 'x');
  return {
      {"file-length", {source(lines(1000, "int a;"))}, {source(lines(1001, "int a;"))}},
      {"file-length",
       {source("// tidy: allow(file-length) A generated table.\n" + lines(1001, "int a;"))},
       {source(lines(1001, "int a;"))}},
      {"line-length", {source("// " + wide.substr(0, 97) + "\n")}, {source("// " + wide + "\n")}},
      {"line-length", {source("// http://" + wide + "\n")}, {source("int " + wide + ";\n")}},
      {"function-length",
       {source("void f(int a) {\n" + lines(70, "a();") + "}\n")},
       {source("void f(int a) {\n" + lines(71, "a();") + "}\n")}},
      {"function-length",
       {source("struct A {\n" + lines(80, "int a();") + "};\n")},
       {source("struct A {\nint f() const {\n" + lines(71, "a();") + "}\n};\n")}},
      {"function-length",
       {source("const int kTable[] = {\n" + lines(80, "a(),") + "};\n")},
       {source("A::A(int a) : a_{a} {\n" + lines(71, "if (a) { b(); }") + "}\n")}},
      {"function-length",
       {source("namespace a {\n" + lines(80, "void f() {}") + "}\n")},
       {source("template <class T>\nTask<T> f(T a = 1) {\n" + lines(71, "a();") + "}\n")}},
  };
}

std::vector<Sample> ban_samples() {
  return {
      {"clock",
       {{"src/net/a.cc", "auto t = std::chrono::steady_clock::now();\n"}},
       {source("auto t = std::chrono::steady_clock::now();\n")}},
      {"clock",
       {source("// steady_clock::now is not for us.\n")},
       {{"src/gateway/a.cc", "auto t = system_clock::now();\n"}}},
      {"threads", {{"src/store/a.cc", "std::mutex m;\n"}}, {source("std::mutex m;\n")}},
      {"threads",
       {{"src/app/log_sink.cc", "std::mutex m;\n"}},
       {{"src/app/main.cc", "std::thread t;\n"}}},
      {"threads",
       {source("auto n = std::thread::hardware_concurrency();\n")},
       {source("std::thread a;\n")}},
      {"new",
       {source("auto a = std::make_unique<int>(1); // A new one.\n")},
       {source("auto* a = new int(1);\n")}},
      {"new",
       {source("#include <new>\nvoid* operator new(std::size_t);\nint new_one;\n")},
       {source("f(new A);\n")}},
      {"rand", {source("rng.next(); brand(1);\n")}, {source("int a = rand();\n")}},
      {"assert", {source("static_assert(true); DROVER_ASSERT(true);\n")}, {source("assert(a);\n")}},
      {"regex", {source("auto s = \"std::regex\";\n")}, {source("std::regex r;\n")}},
      {"sleep",
       {{"test/a_test.cc", "loop.run_until(t);\n"}},
       {{"test/a_test.cc", "std::this_thread::sleep_for(1s);\n"}}},
      {"sleep",
       {{"test/clients/a.py", "wait_for(port)\n"}},
       {{"test/clients/a.py", "time.sleep(1)\n"}}},
  };
}

std::vector<Sample> coroutine_samples() {
  return {
      {"conditional-await",
       {source("auto a = co_await f(b ? 1 : 2);\n")},
       {source("auto a = b ? co_await f() : 2;\n")}},
      {"conditional-await",
       {source("auto a = co_await f();\nreturn a ? 1 : 2;\n")},
       {source("auto a = b\n    ? 2\n    : co_await f();\n")}},
      {"conditional-await",
       {source("for (auto a : co_await f()) { b(); }\n")},
       {source("g(co_await f() ? 1 : 2);\n")}},
      {"conditional-await",
       {source("if (a) { co_await f(); }\nreturn b ? 1 : 2;\n")},
       {source("if ((co_await f()).ok() ? b : c) d();\n")}},
      {"lambda-coroutine",
       {source("auto a = [](int b) -> Task<int> { co_return b; };\n")},
       {source("auto a = [this](int b) -> net::Task<int> { return g(b); };\n")}},
      {"lambda-coroutine",
       {source("auto a = [&] { return b[1]; };\nco_await f(a);\n")},
       {source("run([&] { co_await f(); });\n")}},
      {"lambda-coroutine",
       {source("run([&] { g([](int c) -> Task<void> { co_return; }); });\n")},
       {source("return [a = 1]() mutable -> Task<void> {\n  co_return;\n};\n")}},
      {"lambda-coroutine",
       {source("[[nodiscard]] Task<int> f() { co_return a[2]; }\n")},
       {source("spawn([&, b]() { co_return; }());\n")}},
  };
}

std::vector<Sample> text_samples() {
  return {
      {"todo",
       {source("// TODO: keep both until the old format is gone.\n")},
       {source("// TODO: make this nice.\n")}},
      {"todo", {{"docs/a.md", "A TODO is not welcome.\n"}}, {{"tools/a.sh", "# TODO: faster\n"}}},
      {"private-path",
       {source("auto a = \"/var/lib/drover\";\n")},
       {{"docs/a.md", "See " + kPrivate + "notes.\n"}}},
      {"config-tested",
       {{"config/a.yaml", "a: 1\n"}, {"src/config/load_test.cc", "load(\"config/a.yaml\");\n"}},
       {{"config/a.yaml", "a: 1\n"}, {"src/config/load_test.cc", "load(\"config/b.yaml\");\n"}}},
      {"allow-reason",
       {source("// tidy: allow(new) The library takes ownership.\nf(new A);\n")},
       {source("f(new A);  // tidy: allow(new)\n")}},
      {"allow-reason",
       {source("int a;\n")},
       {source("// tidy: allow(gnu) Because I say so.\nint a;\n")}},
  };
}

std::vector<Sample> all_samples() {
  std::vector<Sample> all;
  for (const auto& some :
       {include_samples(), length_samples(), ban_samples(), coroutine_samples(), text_samples()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

// The failing findings of one rule.
Findings found(const std::vector<Source>& sources, const std::string& rule) {
  std::vector<File> files;
  for (const Source& one : sources) files.push_back(read_lines(one.path, one.text));
  Findings findings = check(files);
  std::erase_if(findings, [&](const Finding& finding) {
    return finding.rule != rule || finding.weight == Weight::kAsk;
  });
  return findings;
}

TEST(Rules, EveryRuleIsTried) {
  std::set<std::string> tried;
  for (const Sample& sample : all_samples()) tried.insert(sample.rule);
  for (const Rule& rule : rules()) {
    EXPECT_TRUE(tried.contains(std::string(rule.name))) << rule.name;
    EXPECT_FALSE(rule.why.empty()) << rule.name;
    EXPECT_FALSE(rule.instead.empty()) << rule.name;
  }
}

TEST(Rules, PassAndFailWhereTheySay) {
  for (const Sample& sample : all_samples()) {
    for (const Finding& finding : found(sample.passes, sample.rule)) {
      ADD_FAILURE() << sample.rule << " should accept: " << sample.passes.back().text
                    << finding.what;
    }
    EXPECT_FALSE(found(sample.fails, sample.rule).empty())
        << sample.rule << " should refuse: " << sample.fails.back().text;
  }
}

TEST(Rules, AnExceptionIsHonouredOnTheLineAndAboveIt) {
  EXPECT_TRUE(
      found({source("f(new A);  // tidy: allow(new) The library frees it.\n")}, "new").empty());
  EXPECT_TRUE(
      found({source("// tidy: allow(new) The library\n// frees it.\nf(new A);\n")}, "new").empty());
  EXPECT_FALSE(
      found({source("// tidy: allow(new) The library frees it.\nint a;\nf(new A);\n")}, "new")
          .empty());
  EXPECT_FALSE(found({source("f(new A);  // tidy: allow(rand) The wrong rule.\n")}, "new").empty());
}

TEST(Lines, CommentsAndLiteralsAreNotCode) {
  const File file = read_lines("src/core/a.cc",
                               "int a = 1'000; // one\n"
                               "auto b = \"two \\\" // new\"; /* three\n"
                               "new */ char c = '\"'; auto d = R\"x(new )\" \n"
                               "new)x\"; int e;\n");
  ASSERT_EQ(file.lines.size(), 4u);
  EXPECT_EQ(trim(file.lines[0].code), "int a = 1'000;");
  EXPECT_EQ(file.lines[0].comment, " one");
  for (const Line& line : file.lines) EXPECT_EQ(find_word(line.code, "new"), std::string::npos);
  EXPECT_TRUE(file.lines[3].in_raw_string);
  EXPECT_NE(file.lines[3].code.find("int e;"), std::string::npos);
}

TEST(Lines, OffsetsLeadBackToLines) {
  const File file = read_lines("src/core/a.cc", "a\nbb\nccc\n");
  EXPECT_EQ(file.line_at(0), 1u);
  EXPECT_EQ(file.line_at(2), 2u);
  EXPECT_EQ(file.line_at(8), 3u);
}

}  // namespace
}  // namespace tidy
