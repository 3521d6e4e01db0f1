#include "config/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <istream>
#include <streambuf>

#include "config/words.h"

namespace drover::config {
namespace {

// Where the lines of the text begin, to turn yaml-cpp's marks (which count bytes) into places.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {
    // yaml-cpp drops a byte order mark before it counts.
    starts_.push_back(text.starts_with("\xEF\xBB\xBF") ? 3 : 0);
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') starts_.push_back(i + 1);
    }
  }

  // Offset of a mark in the text; never beyond its end.
  std::size_t offset(const YAML::Mark& mark) const {
    if (mark.line < 0 || mark.column < 0) return 0;
    const auto line = static_cast<std::size_t>(mark.line);
    if (line >= starts_.size()) return text_.size();
    return std::min(starts_[line] + static_cast<std::size_t>(mark.column), text_.size());
  }

  Place place(const YAML::Mark& mark) const {
    if (mark.is_null() || mark.line < 0) return {};
    const std::size_t end = offset(mark);
    const std::size_t start =
        std::min(starts_[std::min(static_cast<std::size_t>(mark.line), starts_.size() - 1)], end);
    // Far to the right bytes will do: counting again for each of many values would cost a square.
    const std::string_view counted = text_.substr(start, std::min(end - start, kCounted));
    const auto tails = std::count_if(counted.begin(), counted.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
    });
    return {mark.line + 1, static_cast<int>(end - start) - static_cast<int>(tails) + 1};
  }

  std::string_view text() const { return text_; }

 private:
  static constexpr std::size_t kCounted = 1000;
  std::string_view text_;
  std::vector<std::size_t> starts_;
};

// yaml-cpp takes the end of the file for a closing quote. `at` is where a quoted scalar begins.
bool is_closed(std::string_view text, std::size_t at) {
  // A tag or similar before the quote: let it pass, yaml-cpp has read it.
  if (at >= text.size() || (text[at] != '"' && text[at] != '\'')) return true;
  const char quote = text[at];
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      const bool doubled = quote == '\'' && i + 1 < text.size() && text[i + 1] == quote;
      if (!doubled) return true;
      ++i;
    }
  }
  return false;
}

constexpr char kNoAliases[] = "aliases (*name) are not understood; write the value out again";

// Thrown through the parser to stop it early, caught below in this file.
struct Stop {
  YamlTree::Refusal refusal;
};

// Reads the caller's bytes in place.
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // streambuf's get area is never written to
    setg(begin, begin, begin + text.size());
  }
};

// Collects events into the tree. `open_` is the path from the root to what is being filled; values
// sit in their parent only once they are complete, so that no pointer into a vector can dangle.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const Lines& lines) : lines_(lines) {}

  YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    add(node(YamlNode::Kind::kNothing, mark));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Stop{{lines_.place(mark), kNoAliases}};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    const bool is_quoted = tag == "!";
    if (is_quoted && !is_closed(lines_.text(), lines_.offset(mark))) {
      throw Stop{{lines_.place(mark), "the quote that opens here is never closed"}};
    }
    YamlNode scalar = node(YamlNode::Kind::kScalar, mark);
    scalar.text = value;
    add(std::move(scalar));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::kList, mark, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::kMapping, mark, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) const {
    if (anchor == YAML::NullAnchor) return;
    throw Stop{{lines_.place(mark), "anchors (&name) are not understood; remove the anchor"}};
  }

  YamlNode node(YamlNode::Kind kind, const YAML::Mark& mark) {
    if (++nodes_ > kMaxNodes) {
      throw Stop{
          {lines_.place(mark), fmt::format("the file has more than {} values; a configuration "
                                           "needs far fewer",
                                           kMaxNodes)}};
    }
    YamlNode out;
    out.kind = kind;
    out.place = lines_.place(mark);
    return out;
  }

  void open(YamlNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    refuse_anchor(mark, anchor);
    if (open_.size() >= static_cast<std::size_t>(kMaxDepth)) {
      throw Stop{
          {lines_.place(mark), fmt::format("values are nested more than {} deep; no key needs "
                                           "that",
                                           kMaxDepth)}};
    }
    // A list or mapping that stands where a key belongs.
    if (wants_key()) refuse_key(lines_.place(mark));
    open_.push_back(node(kind, mark));
  }

  void close() {
    YamlNode done = std::move(open_.back());
    open_.pop_back();
    add(std::move(done));
  }

  bool wants_key() const {
    if (open_.empty() || open_.back().kind != YamlNode::Kind::kMapping) return false;
    return open_.back().keys.size() == open_.back().items.size();
  }

  [[noreturn]] static void refuse_key(Place place) {
    throw Stop{
        {place, "a key must be a plain word, such as 'policy'; is a bracket or brace left open?"}};
  }

  void add(YamlNode value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return;
    }
    if (!wants_key()) {
      open_.back().items.push_back(std::move(value));
      return;
    }
    if (value.kind != YamlNode::Kind::kScalar) refuse_key(value.place);
    open_.back().keys.emplace_back(std::move(value.text), value.place);
  }

  const Lines& lines_;
  YamlNode root_;
  std::vector<YamlNode> open_;
  std::size_t nodes_ = 0;
};

// yaml-cpp's own words name what it expected inside; "this is not valid YAML" is added for people.
YamlTree::Refusal syntax_error(const YAML::Exception& error, const Lines& lines) {
  if (error.msg == YAML::ErrorMsg::UNKNOWN_ANCHOR) return {lines.place(error.mark), kNoAliases};
  return {lines.place(error.mark),
          fmt::format("this is not valid YAML: {}; look at the indentation, "
                      "quotes and colons here and on the line above",
                      error.msg)};
}

YamlTree refused(Place place, std::string message) {
  YamlTree out;
  out.refused = YamlTree::Refusal{place, std::move(message)};
  return out;
}

bool is_control(char c) {
  const bool blank = c == '\t' || c == '\n' || c == '\r';
  return (static_cast<unsigned char>(c) < 0x20 && !blank) || c == 0x7F;
}

Place place_at(std::string_view text, std::size_t offset) {
  Place place{1, 1};
  for (const char c : text.substr(0, offset)) {
    place.column = c == '\n' ? 1 : place.column + 1;
    if (c == '\n') ++place.line;
  }
  return place;
}

}  // namespace

YamlTree read_yaml(std::string_view text) {
  if (text.size() > kMaxFileBytes) {
    return refused({}, fmt::format("the file has {} bytes, and at most {} are read; is it a "
                                   "configuration?",
                                   text.size(), kMaxFileBytes));
  }
  // Forbidden in YAML, and yaml-cpp takes some of them for an end of file.
  const auto control = std::find_if(text.begin(), text.end(), is_control);
  if (control != text.end()) {
    const auto offset = static_cast<std::size_t>(control - text.begin());
    return refused(place_at(text, offset),
                   fmt::format("the control character {} does not belong into a YAML file; save it "
                               "as plain UTF-8 text",
                               quote(text.substr(offset, 1))));
  }
  const Lines lines(text);
  try {
    ViewBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    TreeBuilder builder(lines);
    YamlTree out;
    if (!parser.HandleNextDocument(builder)) return out;
    out.root = builder.take();
    TreeBuilder second(lines);
    if (parser.HandleNextDocument(second)) {
      return refused(second.take().place,
                     "a second document begins here; a configuration is one "
                     "document, so remove the '---' line");
    }
    return out;
  } catch (const Stop& stop) {
    return refused(stop.refusal.place, stop.refusal.message);
  } catch (const YAML::Exception& error) {
    const YamlTree::Refusal refusal = syntax_error(error, lines);
    return refused(refusal.place, refusal.message);
  } catch (const std::exception& error) {
    return refused({}, fmt::format("this cannot be read as YAML: {}", error.what()));
  }
}

}  // namespace drover::config
