#include "config/yaml_tree.h"

#include <gtest/gtest.h>

namespace drover::config {
namespace {

// "line:column message", or "read".
std::string outcome(std::string_view text) {
  const YamlTree tree = read_yaml(text);
  if (!tree.refused) return "read";
  return std::to_string(tree.refused->place.line) + ":" +
         std::to_string(tree.refused->place.column) + " " + tree.refused->message;
}

TEST(YamlTree, KeepsDuplicateKeysAndPlaces) {
  const YamlTree tree = read_yaml("a: 1\nb:\n  - x\n  - {c: d}\na: 2\n");
  ASSERT_EQ(tree.root.kind, YamlNode::Kind::kMapping);
  ASSERT_EQ(tree.root.keys.size(), 3u);
  EXPECT_EQ(tree.root.keys[2].first, "a");
  EXPECT_EQ(tree.root.keys[2].second.line, 5);
  const YamlNode& list = tree.root.items[1];
  ASSERT_EQ(list.items.size(), 2u);
  EXPECT_EQ(list.items[0].text, "x");
  EXPECT_EQ(list.items[0].place.line, 3);
  EXPECT_EQ(list.items[0].place.column, 5);
}

TEST(YamlTree, AnEmptyTextIsNothing) {
  for (const char* text : {"", "\n", "# only a comment\n", "---\n", "~\n"}) {
    const YamlTree tree = read_yaml(text);
    EXPECT_FALSE(tree.refused) << text;
    EXPECT_EQ(tree.root.kind, YamlNode::Kind::kNothing) << text;
  }
}

TEST(YamlTree, ColumnsCountCharactersAndSkipTheByteOrderMark) {
  EXPECT_EQ(outcome("\xEF\xBB\xBF"
                    "a: @1\n")
                .substr(0, 4),
            "1:4 ");
  const YamlTree tree = read_yaml("größe: {ä: x}\n");
  EXPECT_EQ(tree.root.items[0].place.column, 8);
  EXPECT_EQ(tree.root.items[0].items[0].place.column, 12);
}

TEST(YamlTree, SyntaxErrorsNameTheirPlace) {
  EXPECT_EQ(outcome("a: 1\n b: 2\n").substr(0, 31), "2:3 this is not valid YAML: ill");
  EXPECT_EQ(outcome("a: [1, 2\nb: 3\n").substr(0, 27), "2:2 this is not valid YAML:");
  EXPECT_EQ(outcome("a: \"x\n"), "1:4 the quote that opens here is never closed");
  EXPECT_EQ(outcome("a: 'it''s\n"), "1:4 the quote that opens here is never closed");
  EXPECT_EQ(outcome("a: 'it''s'\nb: \"\\\"\"\n"), "read");
}

TEST(YamlTree, AliasesAndAnchorsAreRefused) {
  EXPECT_EQ(outcome("a: &x 1\n"), "1:4 anchors (&name) are not understood; remove the anchor");
  EXPECT_EQ(outcome("a: *x\n"),
            "1:4 aliases (*name) are not understood; write the value out again");
}

TEST(YamlTree, DepthSizeAndCountAreBounded) {
  EXPECT_NE(outcome(std::string(100'000, '[')), "read");
  std::string deep;
  for (int i = 0; i < 50'000; ++i) deep += "- ";
  EXPECT_NE(outcome(deep), "read");
  std::string wide = "[";
  for (int i = 0; i < 60'000; ++i) wide += "x, ";
  EXPECT_NE(outcome(wide + "]").find("more than 20000 values"), std::string::npos);
  EXPECT_NE(outcome(std::string(kMaxFileBytes + 1, ' ')).find("at most"), std::string::npos);
}

TEST(YamlTree, ControlBytesAreRefusedWithTheirPlace) {
  EXPECT_EQ(outcome(std::string_view("a: 1\nb: \0", 9)).substr(0, 35),
            "2:4 the control character '\\x00' do");
  EXPECT_NE(outcome("a: \x1b[2J\n"), "read");
}

TEST(YamlTree, OneDocumentOnly) {
  EXPECT_EQ(outcome("---\na: 1\n...\n"), "read");
  EXPECT_EQ(outcome("a: 1\n---\nb: 2\n").substr(0, 26), "3:1 a second document begi");
}

TEST(YamlTree, KeysArePlainWords) {
  EXPECT_NE(outcome("? [a, b]\n: 1\n"), "read");
  EXPECT_NE(outcome("? {a: b}\n: 1\n"), "read");
  EXPECT_NE(outcome("~: 1\n"), "read");
}

}  // namespace
}  // namespace drover::config
