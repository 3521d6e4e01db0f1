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

TEST(Journal, ALineThatIsNoOrderIsNamed) {
  const std::string text = sample();
  const Result<std::vector<Order>> cut = read_journal(text.substr(0, text.size() - 1));
  ASSERT_FALSE(cut.ok());
  EXPECT_EQ(cut.error().message, "order 2 can not be read");
  EXPECT_FALSE(read_journal(text + "more"));
  EXPECT_FALSE(read_journal("\n" + text));
  EXPECT_FALSE(read_journal("{\"verb\":\"fly\",\"model\":\"m\"}\n"));
}

TEST(Journal, HoldsWhatCanBeDoneTwice) {
  Order order = pull("m");
  for (const Verb verb : {Verb::kPull, Verb::kCopy}) {
    order.verb = verb;
    EXPECT_TRUE(is_kept(order));
  }
  for (const Verb verb :
       {Verb::kDelete, Verb::kPush, Verb::kCreate, Verb::kUnload, Verb::kUpload}) {
    order.verb = verb;
    EXPECT_FALSE(is_kept(order));
  }
}

TEST(Journal, HasRoomForTheLargestOrdersThatAreKept) {
  Order order = pull("m");
  order.body.assign(kMaxKeptBody, '\x01');  // each is six bytes in JSON
  ASSERT_TRUE(is_kept(order));
  const std::string text = journal_text(std::vector<const Order*>(64, &order));
  EXPECT_LE(text.size(), kMaxJournal);
  ASSERT_TRUE(read_journal(text).ok());
  EXPECT_EQ(read_journal(text)->back().body, order.body);
  order.body += ' ';
  EXPECT_FALSE(is_kept(order));
}

}  // namespace
}  // namespace drover::jobs
