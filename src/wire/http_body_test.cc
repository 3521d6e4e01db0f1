#include "wire/http_body.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace drover::wire {
namespace {

struct Decoded {
  std::string data;
  std::size_t consumed = 0;
  bool done = false;
  bool failed = false;
};

// In pieces of `piece` bytes.
Decoded decode(BodyDecoder decoder, std::string_view bytes, std::size_t piece) {
  Decoded out;
  while (out.consumed < bytes.size() && !decoder.done()) {
    auto step = decoder.next(bytes.substr(out.consumed, piece));
    if (!step) {
      out.failed = true;
      return out;
    }
    EXPECT_EQ(step->done, decoder.done());
    EXPECT_TRUE(step->consumed > 0 || step->done);
    out.data += step->data;
    out.consumed += step->consumed;
  }
  out.done = decoder.done();
  return out;
}

TEST(BodyDecoder, TakesAWholeBodyOnlyWhenItIsAllThatComes) {
  BodyDecoder counted(Framing::kLength, 5, Origin::kInstance);
  EXPECT_FALSE(counted.take_whole("abcdef")) << "something follows";
  EXPECT_FALSE(counted.take_whole("abcd")) << "something is missing";
  EXPECT_FALSE(counted.done());
  EXPECT_EQ(counted.next("ab")->consumed, 2u);
  EXPECT_TRUE(counted.take_whole("cde"));
  EXPECT_TRUE(counted.done());
  EXPECT_FALSE(counted.take_whole(""));
  EXPECT_FALSE(BodyDecoder(Framing::kChunked, 0, Origin::kInstance).take_whole("2"));
  EXPECT_FALSE(BodyDecoder(Framing::kUntilClose, 0, Origin::kInstance).take_whole(""));
}

Decoded chunks(std::string_view bytes, std::size_t piece = SIZE_MAX) {
  return decode(BodyDecoder(Framing::kChunked, 0, Origin::kClient), bytes, piece);
}

TEST(BodyDecoder, ABodyOfNoBytesIsDoneAtOnce) {
  EXPECT_TRUE(BodyDecoder(Framing::kNone, 0, Origin::kClient).done());
  EXPECT_TRUE(BodyDecoder(Framing::kLength, 0, Origin::kClient).done());
  EXPECT_FALSE(BodyDecoder(Framing::kLength, 1, Origin::kClient).done());
  EXPECT_FALSE(BodyDecoder(Framing::kChunked, 0, Origin::kClient).done());
  EXPECT_FALSE(BodyDecoder(Framing::kUntilClose, 0, Origin::kInstance).done());
}

TEST(BodyDecoder, ADoneBodyConsumesNothing) {
  BodyDecoder decoder(Framing::kNone, 0, Origin::kClient);
  auto step = decoder.next("GET / HTTP/1.1");
  ASSERT_TRUE(step.ok());
  EXPECT_EQ(step->consumed, 0U);
  EXPECT_TRUE(step->done);
  EXPECT_TRUE(decoder.end().ok());
}

TEST(BodyDecoder, ALengthIsCountedAndTheRestIsLeft) {
  for (const std::size_t piece : {1, 2, 3, 100}) {
    const Decoded out = decode(BodyDecoder(Framing::kLength, 5, Origin::kClient), "hello!", piece);
    EXPECT_EQ(out.data, "hello");
    EXPECT_EQ(out.consumed, 5U);
    EXPECT_TRUE(out.done);
  }
}

TEST(BodyDecoder, ADataStepEndsALengthWithoutAnotherCall) {
  BodyDecoder decoder(Framing::kLength, 2, Origin::kClient);
  auto step = decoder.next("hi");
  ASSERT_TRUE(step.ok());
  EXPECT_TRUE(step->done);
}

TEST(BodyDecoder, UntilCloseTakesEverything) {
  BodyDecoder decoder(Framing::kUntilClose, 0, Origin::kInstance);
  auto step = decoder.next("anything\r\n0\r\n\r\n");
  ASSERT_TRUE(step.ok());
  EXPECT_EQ(step->data, "anything\r\n0\r\n\r\n");
  EXPECT_FALSE(step->done);
  EXPECT_TRUE(decoder.end().ok());
  EXPECT_TRUE(decoder.done());
}

TEST(BodyDecoder, ChunksComeOutAtEveryPieceSize) {
  const std::string bytes =
      "5\r\nhello\r\n01;a=b\r\n,\r\nB;x\r\n wide world\r\n000\r\nX: y\r\nZ:\r\n\r\nnext";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    const Decoded out = chunks(bytes, piece);
    EXPECT_EQ(out.data, "hello, wide world") << piece;
    EXPECT_EQ(out.consumed, bytes.size() - 4) << piece;
    EXPECT_TRUE(out.done) << piece;
  }
}

TEST(BodyDecoder, EmptyInputIsNoProgressAndNoError) {
  BodyDecoder decoder(Framing::kChunked, 0, Origin::kClient);
  auto step = decoder.next("");
  ASSERT_TRUE(step.ok());
  EXPECT_EQ(step->consumed, 0U);
  EXPECT_FALSE(step->done);
}

TEST(BodyDecoder, DataBeforeABrokenPlaceComesOutWhateverThePieces) {
  const std::string bytes = "5\r\nhello\r\nworld";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    const Decoded out = chunks(bytes, piece);
    EXPECT_EQ(out.data, "hello") << piece;
    EXPECT_TRUE(out.failed) << piece;
  }
}

TEST(BodyDecoder, ABrokenBodyStaysBroken) {
  BodyDecoder decoder(Framing::kChunked, 0, Origin::kClient);
  auto first = decoder.next("x");
  ASSERT_FALSE(first.ok());
  auto again = decoder.next("5\r\nhello\r\n");
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().message, first.error().message);
  EXPECT_FALSE(decoder.end().ok());
  EXPECT_FALSE(decoder.done());
}

TEST(BodyDecoder, ErrorsNameTheirOrigin) {
  BodyDecoder client(Framing::kChunked, 0, Origin::kClient);
  const Error from_client = client.next("x").error();
  EXPECT_EQ(from_client.kind, ErrorKind::kMalformed);
  EXPECT_EQ(from_client.origin, Origin::kClient);
  EXPECT_EQ(from_client.retry, Retry::kNever);
  BodyDecoder instance(Framing::kChunked, 0, Origin::kInstance);
  const Error from_instance = instance.next("x").error();
  EXPECT_EQ(from_instance.kind, ErrorKind::kUpstream);
  EXPECT_EQ(from_instance.origin, Origin::kInstance);
  EXPECT_EQ(from_instance.retry, Retry::kSafe);
}

TEST(BodyDecoder, AConnectionThatEndsInsideABodyIsAnError) {
  BodyDecoder length(Framing::kLength, 5, Origin::kClient);
  ASSERT_TRUE(length.next("hell").ok());
  EXPECT_FALSE(length.end().ok());
  const std::string bytes = "5\r\nhello\r\n0\r\nX: y\r\n\r\n";
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    BodyDecoder decoder(Framing::kChunked, 0, Origin::kInstance);
    for (std::string_view rest(bytes.data(), size); !rest.empty();) {
      auto step = decoder.next(rest);
      ASSERT_TRUE(step.ok());
      rest.remove_prefix(step->consumed);
    }
    auto end = decoder.end();
    ASSERT_FALSE(end.ok()) << size;
    EXPECT_EQ(end.error().kind, ErrorKind::kUpstream);
  }
}

TEST(BodyDecoder, AHugeChunkIsCountedNotBelieved) {
  const Decoded out = chunks("ffffffffffffffff\r\nhello");
  EXPECT_EQ(out.data, "hello");
  EXPECT_FALSE(out.done);
}

TEST(BodyDecoderLimits, ASizeHasAtMost16Digits) {
  EXPECT_FALSE(chunks("0000000000000001\r\nx\r\n0\r\n\r\n").failed);
  EXPECT_TRUE(chunks("00000000000000001\r\nx\r\n0\r\n\r\n").failed);
  EXPECT_TRUE(chunks("00000000000000000\r\n\r\n").failed);
}

TEST(BodyDecoderLimits, AnExtensionHasAtMost4096Bytes) {
  const auto with = [](std::size_t bytes) {
    return "1;" + std::string(bytes - 1, 'x') + "\r\n!\r\n0\r\n\r\n";
  };
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}, SIZE_MAX}) {
    EXPECT_TRUE(chunks(with(4096), piece).done);
    EXPECT_TRUE(chunks(with(4097), piece).failed);
  }
}

TEST(BodyDecoderLimits, TheExtensionsOfABodyHaveAtMost64KiB) {
  const auto with = [](int count, std::size_t last) {
    std::string bytes;
    for (int i = 0; i < count; ++i) bytes += "1;" + std::string(1023, 'x') + "\r\n!\r\n";
    return bytes + "0" + (last == 0 ? "" : ";" + std::string(last - 1, 'x')) + "\r\n\r\n";
  };
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}, SIZE_MAX}) {
    EXPECT_TRUE(chunks(with(64, 0), piece).done);
    EXPECT_TRUE(chunks(with(64, 1), piece).failed);
    EXPECT_TRUE(chunks(with(63, 1024), piece).done);
    EXPECT_TRUE(chunks(with(63, 1025), piece).failed);
  }
}

TEST(BodyDecoderLimits, TrailersHaveAtMost8KiB) {
  const auto with = [](std::size_t bytes) {
    return "0\r\nX: y\r\nX:" + std::string(bytes - 10, 'x') + "\r\n\r\n";
  };
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}, SIZE_MAX}) {
    EXPECT_TRUE(chunks(with(8192), piece).done);
    EXPECT_TRUE(chunks(with(8193), piece).failed);
  }
}

TEST(ChunkHead, SizesAreShortLowerCaseHexadecimal) {
  EXPECT_EQ(ChunkHead(1).view(), "1\r\n");
  EXPECT_EQ(ChunkHead(0x10).view(), "10\r\n");
  EXPECT_EQ(ChunkHead(0xabcdef).view(), "abcdef\r\n");
  EXPECT_EQ(ChunkHead(UINT64_MAX).view(), "ffffffffffffffff\r\n");
}

TEST(ChunkHead, WhatIsWrittenIsReadBack) {
  std::string bytes;
  std::string all;
  for (std::size_t size = 1; size < 300; size += 7) {
    const std::string data(size, static_cast<char>('a' + size % 26));
    bytes += ChunkHead(size).view();
    bytes += data + "\r\n";
    all += data;
  }
  bytes += kLastChunk;
  const Decoded out = chunks(bytes);
  EXPECT_EQ(out.data, all);
  EXPECT_TRUE(out.done);
}

}  // namespace
}  // namespace drover::wire
