#include "wire/catalogue.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace drover::wire {
namespace {

using Stores = std::vector<const std::vector<InstalledModel>*>;

const std::string kTags = R"({"models":[
  {"name":"DeepSeek-R1:latest","model":"DeepSeek-R1:latest",
   "modified_at":"2025-05-10T08:06:48.639712648-07:00","size":4683075271,"digest":"0a8c2669",
   "details":{"name":"x","models":[1],"families":["qwen2"]},"extra":{"new":1}},
  {"name":"someone/m:7b","modified_at":"2025-05-04T17:37:44Z","size":12,"digest":"a1"} ]})";

std::string entry(const std::string& name, const std::string& modified, const std::string& digest) {
  return R"({"name":")" + name + R"(","modified_at":")" + modified + R"(","digest":")" + digest +
         "\"}";
}

std::vector<InstalledModel> tags(const std::vector<std::string>& entries) {
  std::string body = R"({"models":[)";
  for (const auto& text : entries) body += (body.back() == '[' ? "" : ",") + text;
  return read_tags(body + "]}").value();
}

TEST(ReadTags, ReadsTheFieldsAndKeepsTheEntry) {
  const auto models = read_tags(kTags);
  ASSERT_TRUE(models);
  ASSERT_EQ(models->size(), 2U);
  const InstalledModel& first = models->at(0);
  EXPECT_EQ(first.name.text(), "deepseek-r1:latest");
  EXPECT_EQ(first.shown_name, "DeepSeek-R1:latest");
  EXPECT_EQ(first.digest, "0a8c2669");
  EXPECT_EQ(first.bytes, 4683075271U);
  EXPECT_EQ(first.modified_at, "2025-05-10T08:06:48.639712648-07:00");
  EXPECT_TRUE(first.json.starts_with("{\"name\":\"DeepSeek-R1"));
  EXPECT_TRUE(first.json.ends_with("\"extra\":{\"new\":1}}"));
  EXPECT_EQ(
      models->at(1).json,
      R"({"name":"someone/m:7b","modified_at":"2025-05-04T17:37:44Z","size":12,"digest":"a1"})");
}

TEST(ReadTags, TakesAnEmptyListInEverySpelling) {
  for (const char* body :
       {R"({"models":[]})", R"({"models":null})", R"({"x":{"models":1},"models":[ ]} )"}) {
    const auto models = read_tags(body);
    ASSERT_TRUE(models) << body;
    EXPECT_TRUE(models->empty());
  }
}

TEST(ReadTags, RefusesWhatIsNotAListOfModels) {
  for (const char* body :
       {"", "{}", "[]", "null", "<html>captive portal</html>", R"({"models":{}})",
        R"({"models":"x"})", R"({"models":[1]})", R"({"models":[[]]})", R"({"models":[{}]})",
        R"({"models":[{"name":""}]})", R"({"models":[{"name":1}]})", R"({"models":[{"name":"a"}])",
        R"({"models":[{"name":"a"}]}x)", R"({"models":[{"name":"a","x":01}]})",
        R"({"models":[{"x":{"name":"a"}}]})", R"({"Models":[]})"}) {
    const auto models = read_tags(body);
    ASSERT_FALSE(models) << body;
    EXPECT_EQ(models.error().kind, ErrorKind::kUpstream);
    EXPECT_EQ(models.error().origin, Origin::kInstance);
  }
  EXPECT_FALSE(read_tags(R"({"models":[{"name":")" + std::string(2000, 'a') + "\"}]}"));
}

TEST(ReadTags, RefusesMoreModelsThanAnyoneHas) {
  const auto list = [](int count) {
    std::string body = R"({"models":[{"name":"a"})";
    for (int i = 1; i < count; ++i) body += R"(,{"name":"a"})";
    return body + "]}";
  };
  EXPECT_TRUE(read_tags(list(100'000)));
  EXPECT_FALSE(read_tags(list(100'001)));
}

TEST(ReadPs, ReadsWhatIsLoaded) {
  const auto models =
      read_ps(R"({"models":[{"name":"m","model":"m","size":10,"size_vram":4,"digest":"d",)"
              R"("context_length":4096,)"
              R"("details":{"size":1},"expires_at":"2318-09-09T00:00:00Z"}]})");
  ASSERT_TRUE(models);
  const LoadedModel& model = models->at(0);
  EXPECT_EQ(model.name.text(), "m:latest");
  EXPECT_EQ(model.digest, "d");
  EXPECT_EQ(model.bytes, 10U);
  EXPECT_EQ(model.vram_bytes, 4U);
  EXPECT_EQ(model.context_length, 4096U);
  EXPECT_TRUE(read_ps(R"({"models":null})")->empty());
}

TEST(ReadVersion, ReadsOnlyAVersion) {
  EXPECT_EQ(read_version(R"({"version":"0.32.15"})").value(), "0.32.15");
  for (const char* body : {"", "{}", "[]", R"({"version":1})", R"({"version":""})",
                           R"({"x":{"version":"1"}})", R"({"version":"1")", R"(["version","1"])"}) {
    EXPECT_FALSE(read_version(body)) << body;
  }
}

TEST(MergeTags, ShowsEachModelOnceNewestFirst) {
  const auto a =
      tags({entry("old", "2025-01-01T00:00:00Z", "1"), entry("Both", "2025-03-01T00:00:00Z", "2")});
  const auto b = tags({entry("both:latest", "2025-02-01T00:00:00Z", "2"),
                       entry("new", "2025-04-01T00:00:00Z", "3")});
  EXPECT_EQ(merge_tags(Stores{&a, &b}), "{\"models\":[" +
                                            entry("new", "2025-04-01T00:00:00Z", "3") + ',' +
                                            entry("Both", "2025-03-01T00:00:00Z", "2") + ',' +
                                            entry("old", "2025-01-01T00:00:00Z", "1") + "]}");
  EXPECT_EQ(merge_tags(Stores{&a, &b}), merge_tags(Stores{&b, &a}));
}

TEST(MergeTags, OfTwoDigestsShowsTheOneModifiedLast) {
  // As texts these times compare the other way round.
  const auto a = tags({entry("m", "2025-05-10T08:00:00-07:00", "newer")});
  const auto b = tags({entry("m", "2025-05-10T14:59:59.999Z", "older")});
  for (const Stores& stores : {Stores{&a, &b}, Stores{&b, &a}}) {
    const auto shown = read_tags(merge_tags(stores)).value();
    ASSERT_EQ(shown.size(), 1U);
    EXPECT_EQ(shown[0].digest, "newer");
  }
}

TEST(MergeTags, PutsUnreadableTimesLast) {
  const auto a = tags({entry("m", "yesterday", "x"), entry("n", "0001-01-01T00:00:00Z", "y")});
  const auto shown = read_tags(merge_tags(Stores{&a})).value();
  EXPECT_EQ(shown[0].shown_name, "n");
  EXPECT_EQ(shown[1].shown_name, "m");
}

TEST(MergeTags, IsAListEvenWithoutModels) {
  const std::vector<InstalledModel> none;
  EXPECT_EQ(merge_tags(Stores{}), R"({"models":[]})");
  EXPECT_EQ(merge_tags(Stores{&none, &none}), R"({"models":[]})");
}

TEST(MergePs, ListsEveryInstancesModelsWithItsName) {
  const auto a = read_ps(R"({"models":[{"name":"m","size":1}]})").value();
  const auto b =
      read_ps(R"({"models":[{"name":"m" } , {"name":"n","drover_instance":"inner"}]})").value();
  const std::vector<InstanceModels> lists = {{"gpu\"0", &a}, {"gpu1", &b}};
  EXPECT_EQ(merge_ps(lists),
            R"({"models":[{"name":"m","size":1,"drover_instance":"gpu\"0"},)"
            R"({"name":"m" ,"drover_instance":"gpu1"},{"name":"n","drover_instance":"inner"}]})");
  EXPECT_EQ(read_ps(merge_ps(lists))->size(), 3U);
  EXPECT_EQ(merge_ps({}), R"({"models":[]})");
}

TEST(ModelsList, IsWhatOllamaSays) {
  const std::vector<InstalledModel> none;
  EXPECT_EQ(models_list(Stores{&none}), R"({"object":"list","data":null})");
  const auto a = tags({entry("llama3:latest", "1970-01-01T00:01:40Z", "1"),
                       entry("Someone/m:7b", "1970-01-01T01:00:01+01:00", "2"),
                       entry("hf.co/User/Repo:Q4", "never", "3")});
  EXPECT_EQ(models_list(Stores{&a}),
            R"({"object":"list","data":[{"id":"llama3:latest","object":"model","created":100,)"
            R"("owned_by":"library"},)"
            R"({"id":"Someone/m:7b","object":"model","created":1,"owned_by":"Someone"},)"
            R"({"id":"hf.co/User/Repo:Q4","object":"model","created":0,"owned_by":"User"}]})");
}

TEST(ModelEntry, FindsAModelByAnySpelling) {
  const auto a = tags({entry("Llama3:latest", "1970-01-01T00:01:40Z", "1")});
  const auto b = tags({entry("llama3:latest", "1970-01-01T00:01:41Z", "2")});
  EXPECT_EQ(model_entry(Stores{&a, &b}, ModelName::canonical("LLAMA3")),
            R"({"id":"llama3:latest","object":"model","created":101,"owned_by":"library"})");
  EXPECT_EQ(model_entry(Stores{&a, &b}, ModelName::canonical("other")), std::nullopt);
}

TEST(LowerVersion, ComparesNumbersByValueAndPutsPreviewsFirst) {
  const std::vector<std::string> ascending = {"0.0.0",
                                              "0.9.1",
                                              "0.9.10",
                                              "0.30.0-rc2",
                                              "0.30.0-rc10",
                                              "0.30.0",
                                              "0.30.0.1",
                                              "0.32",
                                              "0.32.15",
                                              "1.0.0",
                                              "99999999999999999999999.0"};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      EXPECT_EQ(lower_version(ascending[i], ascending[j]), ascending[std::min(i, j)])
          << i << ' ' << j;
    }
  }
  EXPECT_EQ(lower_version("v0.9.1", "0.30.0"), "v0.9.1");
  EXPECT_EQ(lower_version("", "0.30.0"), "0.30.0");
  EXPECT_EQ(lower_version("0.30.0", ""), "0.30.0");
  EXPECT_EQ(lower_version("0.30.0+cuda", "0.30.0"), "0.30.0+cuda");
}

}  // namespace
}  // namespace drover::wire
