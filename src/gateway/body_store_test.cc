#include "gateway/body_store.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>

namespace drover::gateway {
namespace {

constexpr std::uint64_t kSpill = 64;

std::string letters(std::size_t bytes) {
  std::string text(bytes, 'x');
  for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>('a' + i % 26);
  return text;
}

// Reads from `cursor` to the end; of a spilled body `room` bytes at a time.
std::string read_all(const BodyStore& store, std::size_t room, BodyStore::Cursor cursor = {}) {
  std::vector<char> space(room);
  std::string text;
  for (;;) {
    const Result<std::string_view> piece = store.read(cursor, space);
    EXPECT_TRUE(piece.ok());
    if (!piece.ok() || piece->empty()) return text;
    text += *piece;
  }
}

struct EditCase {
  const char* what;
  std::vector<wire::Edit> edits;
  const char* expected;
};

const EditCase kEdits[] = {
    {"none", {}, "0123456789"},
    {"begin", {{0, 2, "AB"}}, "AB23456789"},
    {"middle", {{4, 3, "-"}}, "0123-789"},
    {"end", {{8, 2, "END"}}, "01234567END"},
    {"behind the end", {{10, 0, "!"}}, "0123456789!"},
    {"insert only", {{5, 0, "++"}}, "01234++56789"},
    {"remove only", {{3, 4, ""}}, "012789"},
    {"remove at both ends", {{0, 1, ""}, {9, 1, ""}}, "12345678"},
    {"adjacent", {{2, 2, "a"}, {4, 2, "b"}, {6, 2, ""}}, "01ab89"},
    {"adjacent removals", {{0, 3, ""}, {3, 3, ""}, {6, 4, ""}}, ""},
    {"two at one place", {{5, 0, "x"}, {5, 1, "y"}}, "01234xy6789"},
    {"everything", {{0, 10, "new"}}, "new"},
};

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST(BodyStore, WhatIsReleasedHoldsNeitherMemoryNorADescriptor) {
  const std::string directory = ::testing::TempDir();
  const std::size_t before = open_descriptors();
  for (const std::uint64_t spill : {std::uint64_t{100'000}, std::uint64_t{0}}) {
    BodyStore store(spill, directory);
    ASSERT_TRUE(store.append(letters(50'000)).ok());
    EXPECT_EQ(open_descriptors(), before + (store.spilled() ? 1 : 0));
    if (store.spilled()) {
      EXPECT_LT(store.memory_bytes(), 100U) << "the file has it";
    }
    store.release();
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_LT(store.memory_bytes(), 100U);
    EXPECT_EQ(store.received_bytes(), 50'000U);
  }
}

TEST(BodyStore, EditsAreAppliedWhileReadingFromMemoryAndFromTheFile) {
  const std::string directory = ::testing::TempDir();
  for (const std::uint64_t spill : {std::uint64_t{100}, std::uint64_t{0}}) {
    for (const EditCase& each : kEdits) {
      BodyStore store(spill, directory);
      ASSERT_TRUE(store.append("0123456789").ok());
      EXPECT_EQ(store.spilled(), spill == 0);
      store.set_edits(each.edits);
      EXPECT_EQ(store.sent_bytes(), std::string_view(each.expected).size()) << each.what;
      for (std::size_t room : {1, 2, 3, 7, 100}) {
        EXPECT_EQ(read_all(store, room), each.expected) << each.what << " by " << room;
      }
    }
  }
}

TEST(BodyStore, SpillsAboveTheLimitAndNotAtIt) {
  const std::string directory = ::testing::TempDir();
  for (const std::size_t piece : {std::size_t{1}, std::size_t{13}, std::size_t{1000}}) {
    for (const std::size_t bytes : {kSpill - 1, kSpill, kSpill + 1, 3 * kSpill}) {
      BodyStore store(kSpill, directory);
      const std::string text = letters(bytes);
      for (std::size_t at = 0; at < bytes; at += piece) {
        ASSERT_TRUE(store.append(std::string_view(text).substr(at, piece)).ok());
      }
      EXPECT_EQ(store.spilled(), bytes > kSpill) << bytes;
      EXPECT_EQ(store.received_bytes(), bytes);
      EXPECT_EQ(read_all(store, 10), text);
      EXPECT_EQ(read_all(store, 10), text) << "a retry reads it again";
    }
  }
}

TEST(BodyStore, ALargeBodyStaysInMemoryWhileTheLoopHasRoom) {
  const std::string directory = ::testing::TempDir();
  Gauge taken;
  BodyRoom room(5 * kSpill, taken);
  const std::string text = letters(3 * kSpill);
  BodyStore first(kSpill, directory, &room);
  first.expect(text.size());
  ASSERT_TRUE(first.append(text).ok());
  EXPECT_FALSE(first.spilled());
  EXPECT_EQ(read_all(first, 10), text);
  EXPECT_EQ(room.free_bytes(), 2 * kSpill);
  EXPECT_EQ(taken.value(), static_cast<std::int64_t>(3 * kSpill));

  BodyStore second(kSpill, directory, &room);
  second.expect(text.size());
  ASSERT_TRUE(second.append(text).ok());
  EXPECT_TRUE(second.spilled()) << "the first has the room";
  EXPECT_EQ(read_all(second, 10), text);

  first.release();
  EXPECT_EQ(room.free_bytes(), 5 * kSpill);
  BodyStore third(kSpill, directory, &room);
  third.expect(text.size());
  ASSERT_TRUE(third.append(text).ok());
  EXPECT_FALSE(third.spilled());
}

TEST(BodyStore, MoreThanWasExpectedSpillsAndGivesTheRoomBack) {
  const std::string directory = ::testing::TempDir();
  Gauge taken;
  BodyRoom room(5 * kSpill, taken);
  BodyStore store(kSpill, directory, &room);
  store.expect(2 * kSpill);
  const std::string text = letters(2 * kSpill + 1);
  ASSERT_TRUE(store.append(text).ok());
  EXPECT_TRUE(store.spilled());
  EXPECT_EQ(room.free_bytes(), 5 * kSpill);
  EXPECT_EQ(read_all(store, 10), text);
}

TEST(BodyStore, CursorsReadIndependently) {
  const std::string directory = ::testing::TempDir();
  BodyStore store(kSpill, directory);
  const std::string text = letters(200);
  ASSERT_TRUE(store.append(text).ok());
  std::array<char, 50> room;
  BodyStore::Cursor first;
  ASSERT_TRUE(store.read(first, room).ok());
  BodyStore::Cursor copy = first;
  EXPECT_EQ(read_all(store, 7, first), text.substr(50));
  EXPECT_EQ(read_all(store, 100, copy), text.substr(50));
}

TEST(BodyStore, AnEmptyBodyHasNothingToRead) {
  const std::string directory = ::testing::TempDir();
  BodyStore store(kSpill, directory);
  EXPECT_EQ(read_all(store, 10), "");
  EXPECT_EQ(store.sent_bytes(), 0U);
}

TEST(BodyStore, TheFileHasNoName) {
  const std::string directory = ::testing::TempDir() + "/body_store";
  std::filesystem::create_directories(directory);
  BodyStore store(0, directory);
  ASSERT_TRUE(store.append("secret").ok());
  EXPECT_TRUE(store.spilled());
  EXPECT_TRUE(std::filesystem::is_empty(directory));
}

TEST(BodyStore, ABadDirectoryIsSaidByName) {
  const std::string directory = "/nowhere/at/all";
  BodyStore store(kSpill, directory);
  EXPECT_TRUE(store.append(letters(kSpill)).ok()) << "small bodies need no directory";
  const Result<void> kept = store.append("x");
  ASSERT_FALSE(kept.ok());
  EXPECT_EQ(kept.error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(kept.error().origin, Origin::kSelf);
  EXPECT_NE(kept.error().message.find(directory), std::string::npos);
}

TEST(BodyStore, AFullDiskRefusesTheBody) {
  const std::string directory = ::testing::TempDir();
  // A limit on the size of files stands in for the disk; without its signal, as on a full disk.
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit small{1000, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  BodyStore store(kSpill, directory);
  const Result<void> fits = store.append(letters(900));
  const Result<void> too_much = store.append(letters(900));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, before);
  EXPECT_TRUE(fits.ok());
  ASSERT_FALSE(too_much.ok());
  EXPECT_EQ(too_much.error().kind, ErrorKind::kUnavailable);
}

TEST(BodyStore, AnOverlayIsReplacedByTheNext) {
  const std::string dir = "/tmp";
  BodyStore store(1000, dir);
  ASSERT_TRUE(store.append("AAAA:bb,CC:dddd").ok());
  store.set_edits({{0, 4, "a"}, {8, 2, "cccc"}});
  const auto text_with = [&store](std::vector<wire::Edit> overlay) {
    store.overlay(std::move(overlay));
    std::string room(64, '\0');
    std::string text;
    BodyStore::Cursor cursor;
    while (text.size() < store.sent_bytes()) text += *store.read(cursor, room);
    return text;
  };
  EXPECT_EQ(text_with({{5, 2, "null"}}), "a:null,cccc:dddd");
  EXPECT_EQ(text_with({{5, 0, "x"}, {11, 4, ""}}), "a:xbb,cccc:");
  EXPECT_EQ(text_with({}), "a:bb,cccc:dddd");
}

TEST(BodyStore, OneMoreEditGoesByTheBodyAsItIsRead) {
  const std::string dir = "/tmp";
  for (const std::size_t spill : {std::size_t{1000}, std::size_t{1}}) {
    BodyStore store(spill, dir);
    ASSERT_TRUE(store.append("AAAA:bb,CC:dddd").ok());
    store.set_edits({{0, 4, "a"}, {8, 2, "cccc"}});  // a:bb,cccc:dddd
    store.replace({2, 2, "xyz"});
    store.replace({11, 4, "!"});
    std::string room(64, '\0');
    std::string text;
    BodyStore::Cursor cursor;
    for (;;) {
      const std::string piece(*store.read(cursor, room));
      if (piece.empty()) break;
      text += piece;
    }
    EXPECT_EQ(text, "a:xyz,cccc:!");
    EXPECT_EQ(store.sent_bytes(), text.size());
  }
}

}  // namespace
}  // namespace drover::gateway
