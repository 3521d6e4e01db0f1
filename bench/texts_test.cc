#include "texts.h"

#include <gtest/gtest.h>

namespace drover::bench {
namespace {

TEST(Texts, ARecordIsReadAsItWasWritten) {
  std::string text(kRecordBytes, ' ');
  write_record(text.data(), {123'456'789'012, 42});
  RecordFacts facts;
  ASSERT_TRUE(read_record(text, facts));
  EXPECT_EQ(facts.sent_ns, 123'456'789'012U);
  EXPECT_EQ(facts.number, 42U);
}

TEST(Texts, ARecordWithAnyOtherByteIsNone) {
  std::string text(kRecordBytes, ' ');
  write_record(text.data(), {1, 0});
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] = 'x';
    RecordFacts facts;
    EXPECT_FALSE(read_record(other, facts)) << i;
  }
}

TEST(Texts, ABodyHasItsSizeAndItsModelWhereItBelongs) {
  for (const std::size_t bytes : {std::size_t{256}, std::size_t{1024}, std::size_t{100'000}}) {
    const std::string first = body_of({Answer::kDocument, bytes, ModelPlace::kFirst});
    const std::string last = body_of({Answer::kDocument, bytes, ModelPlace::kLast});
    EXPECT_EQ(first.size(), bytes);
    EXPECT_EQ(last.size(), bytes);
    EXPECT_TRUE(first.starts_with(R"({"model":"bench",)"));
    EXPECT_TRUE(last.ends_with(R"(,"model":"bench"})"));
  }
}

TEST(Texts, TheBeginningOfABodyTellsWhichAnswerItWants) {
  for (const ModelPlace place : {ModelPlace::kFirst, ModelPlace::kLast}) {
    for (const Answer answer : {Answer::kDocument, Answer::kStream}) {
      EXPECT_EQ(wanted_answer(body_of({answer, 1024, place}).substr(0, kTellingBytes)), answer);
    }
  }
}

}  // namespace
}  // namespace drover::bench
