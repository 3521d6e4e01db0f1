#include "wire/model_request.h"

#include <gtest/gtest.h>

namespace drover::wire {
namespace {

TEST(ModelRequest, ReadsTheNamesOfEveryRoute) {
  const ModelRequest pull = *read_model_request(R"({"model":"a","insecure":true,"stream":false})");
  EXPECT_EQ(pull.model, "a");
  EXPECT_TRUE(pull.insecure);
  EXPECT_FALSE(pull.stream);
  const ModelRequest copy = *read_model_request(R"({"source":"a","destination":"b"})");
  EXPECT_EQ(copy.source, "a");
  EXPECT_EQ(copy.destination, "b");
  EXPECT_TRUE(copy.stream);
  EXPECT_EQ(read_model_request(R"({"name":"n","from":"f"})")->model, "n");
  EXPECT_EQ(read_model_request(R"({"name":"n","model":"m"})")->model, "m");
  EXPECT_EQ(read_model_request(R"({"model":"","name":"n"})")->model, "n");
}

TEST(ModelRequest, WhatLiesDeeperIsNoName) {
  const ModelRequest read = *read_model_request(R"({"files":{"model":"x"},"from":"f"})");
  EXPECT_EQ(read.model, "");
  EXPECT_EQ(read.from, "f");
}

TEST(ModelRequest, ANameIsAShortText) {
  EXPECT_FALSE(read_model_request(R"({"source":1})").ok());
  EXPECT_FALSE(read_model_request(R"({"from":["a"]})").ok());
  EXPECT_FALSE(read_model_request("{\"from\":\"" + std::string(2000, 'a') + "\"}").ok());
  EXPECT_TRUE(read_model_request(R"({"from":null})").ok());
}

std::string found_in(std::string_view body, std::size_t step) {
  ModelValue value;
  for (std::size_t at = 0; at < body.size(); at += step) value.feed(body.substr(at, step));
  return std::string(body.substr(value.place().offset, value.place().length));
}

TEST(ModelRequest, TheValueIsFoundHoweverTheBodyIsCut) {
  for (std::size_t step = 1; step < 40; ++step) {
    EXPECT_EQ(found_in(R"({"options":{"model":"x"},"model":"fa\u0073t","stream":false})", step),
              R"("fa\u0073t")");
    EXPECT_EQ(found_in(R"({"model":"","name":"n"})", step), R"("n")");
    EXPECT_EQ(found_in(R"({"name":"n","model":"m"})", step), R"("m")");
    EXPECT_EQ(found_in(R"({"messages":[{"model":"x"}]})", step), "");
  }
}

TEST(ModelRequest, UnloadsWithZeroInAnySpellingAndNothingToAnswer) {
  for (std::string_view body :
       {R"({"model":"a","keep_alive":0})", R"({"keep_alive":"0","model":"a"})",
        R"({"model":"a","keep_alive":"0s","prompt":""})", R"({"model":"a","keep_alive":-0.0})",
        R"({"model":"a","keep_alive":"0h0m0s","messages":[]})",
        R"({"model":"a","keep_alive":0,"messages":null,"stream":false})"}) {
    EXPECT_TRUE(asks_to_unload(body)) << body;
  }
  for (std::string_view body :
       {R"({"model":"a"})", R"({"model":"a","keep_alive":null})", R"({"model":"a","keep_alive":1})",
        R"({"model":"a","keep_alive":"5m"})", R"({"model":"a","keep_alive":0.5})",
        R"({"model":"a","keep_alive":""})", R"({"model":"a","keep_alive":"00.s.h"})",
        R"({"model":"a","keep_alive":0,"prompt":"hi"})",
        R"({"model":"a","keep_alive":0,"messages":[{"role":"user","content":"x"}]})",
        R"({"model":"a","options":{"keep_alive":0}})"}) {
    EXPECT_FALSE(asks_to_unload(body)) << body;
  }
  // What is too long to be kept whole may end in anything.
  const std::string zeros(70, '0');
  EXPECT_FALSE(asks_to_unload(R"({"keep_alive":")" + zeros + R"(m5s"})"));
  EXPECT_FALSE(asks_to_unload(R"({"keep_alive":0.)" + zeros + "5e80}"));
}

}  // namespace
}  // namespace drover::wire
