#include "jobs/journal.h"

#include <gtest/gtest.h>

namespace drover::jobs {
namespace {

Order pull(std::string shown) {
  Order order;
  order.verb = Verb::kPull;
  order.path = "/api/pull";
  order.model = ModelName::canonical(shown);
  order.body = R"({"model":")" + shown + R"(","stream":true})";
  order.shown = std::move(shown);
  return order;
}

std::string sample() {
  Order first = pull("Llama3");
  first.insecure = true;
  Order second = pull("copy\"ed");
  second.verb = Verb::kCopy;
  second.path = "/api/copy";
  second.from = ModelName::canonical("llama3");
  return journal_text({&first, &second});
}

TEST(Journal, ComesBackAsItWas) {
  const Result<std::vector<Order>> back = read_journal(sample());
  ASSERT_TRUE(back.ok()) << back.error().message;
  ASSERT_EQ(back->size(), 2U);
  EXPECT_EQ((*back)[0].verb, Verb::kPull);
  EXPECT_EQ((*back)[0].path, "/api/pull");
  EXPECT_EQ((*back)[0].model.text(), "llama3:latest");
  EXPECT_EQ((*back)[0].shown, "Llama3");
  EXPECT_TRUE((*back)[0].insecure);
  EXPECT_EQ((*back)[1].verb, Verb::kCopy);
  EXPECT_EQ((*back)[1].from.text(), "llama3:latest");
  EXPECT_EQ((*back)[1].body, R"({"model":"copy"ed","stream":true})");
  EXPECT_TRUE(read_journal(journal_text({}))->empty());
}

TEST(Journal, AnyCutAndAnyOtherByteIsNoticed) {
  const std::string text = sample();
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(read_journal(text.substr(0, size))) << size;
  }
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string other = text;
    other[at] = other[at] == 'x' ? 'y' : 'x';
    EXPECT_FALSE(read_journal(other)) << at;
  }
  EXPECT_FALSE(read_journal(text + "more"));
  EXPECT_FALSE(read_journal(std::string(kMaxJournal + 1, 'x')));
}

TEST(Journal, HoldsWhatCanBeDoneTwice) {
  for (const Verb verb : {Verb::kPull, Verb::kCopy, Verb::kDelete}) EXPECT_TRUE(is_kept(verb));
  for (const Verb verb : {Verb::kPush, Verb::kCreate, Verb::kUnload, Verb::kUpload}) {
    EXPECT_FALSE(is_kept(verb));
  }
}

}  // namespace
}  // namespace drover::jobs
