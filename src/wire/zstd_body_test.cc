#include "wire/zstd_body.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <string>

#include "base/rng.h"

namespace drover::wire {
namespace {

std::string packed(const std::string& text, int level = 3) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), level));
  return out;
}

Result<std::string> unpacked(std::string_view body, std::size_t step) {
  ZstdBody zstd;
  std::string out;
  while (!body.empty()) {
    std::string_view piece = body.substr(0, step);
    body.remove_prefix(piece.size());
    for (;;) {
      Result<ZstdBody::Step> done = zstd.next(piece);
      if (!done) return std::move(done).error();
      piece.remove_prefix(done->consumed);
      out += done->data;
      if (piece.empty() && done->data.empty()) break;
    }
  }
  Result<void> end = zstd.end();
  if (!end) return std::move(end).error();
  return out;
}

std::string noise(std::size_t bytes) {
  Rng rng(7);
  std::string text;
  while (text.size() < bytes) text += "abcdefgh"[rng.below(8)];
  return text;
}

TEST(ZstdBody, ComesOutAsItWentInHoweverItIsCut) {
  const std::string text = noise(300'000);
  const std::string body = packed(text) + packed("and another frame");
  for (const std::size_t step : {1U, 7U, 4096U, 1'000'000U}) {
    const Result<std::string> out = unpacked(body, step);
    ASSERT_TRUE(out.ok()) << out.error().message;
    EXPECT_EQ(*out, text + "and another frame");
  }
}

TEST(ZstdBody, ACutOrDamagedOneIsRefused) {
  const std::string body = packed(noise(5000));
  for (std::size_t size = 0; size < body.size(); size += 13) {
    EXPECT_FALSE(unpacked(body.substr(0, size), 100)) << size;
  }
  const Result<std::string> plain = unpacked(R"({"model":"m"})", 100);
  ASSERT_FALSE(plain);
  EXPECT_EQ(plain.error().kind, ErrorKind::kMalformed);
}

TEST(ZstdBody, ABombIsRefusedBeforeItGoesOff) {
  const std::string bomb = packed(std::string(200'000'000, 'x'), 19);
  EXPECT_LT(bomb.size(), 100'000U);
  const Result<std::string> out = unpacked(bomb, 4096);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().kind, ErrorKind::kTooLarge);
  // What is small is fine at any ratio.
  EXPECT_TRUE(unpacked(packed(std::string(1'000'000, 'x')), 4096).ok());
}

TEST(ZstdBody, AWindowThatTakesTooMuchMemoryIsRefused) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
  const std::string text = noise(20'000'000);
  std::string out(ZSTD_compressBound(text.size()), '\0');
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  ZSTD_inBuffer from{text.data(), text.size(), 0};
  // No end: the size is not known in the head, and the window counts.
  EXPECT_EQ(ZSTD_compressStream2(context, &to, &from, ZSTD_e_flush), 0U);
  out.resize(to.pos);
  ZSTD_freeCCtx(context);
  const Result<std::string> refused = unpacked(out, 4096);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kTooLarge);
}

}  // namespace
}  // namespace drover::wire
