// Every store that was built in, through the same few operations: its adapter does what peer.h
// says, in several threads, and after it was opened again.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "keys_values.h"
#include "peer.h"
#include "scratch_directory.h"

namespace freyja::bench {

// In messages, instead of the bytes of the object.
void PrintTo(const PeerKind& kind, std::ostream* out) { *out << kind.id; }

namespace {

class PeersTest : public testing::TestWithParam<PeerKind> {
 protected:
  void SetUp() override {
    auto scratch = ScratchDirectory::Make(std::filesystem::temp_directory_path());
    ASSERT_TRUE(scratch.has_value());
    scratch_ = std::make_unique<ScratchDirectory>(*std::move(scratch));
    peer_ = GetParam().make();
  }

  void Open(bool sync_always = false) {
    const Status status = peer_->Open({.directory = scratch_->path(),
                                       .keys = 1'000,
                                       .writes = 10'000,
                                       .key_bytes = 3,
                                       .value_bytes = 10,
                                       .sync_always = sync_always});
    ASSERT_TRUE(status.ok()) << status.ToString();
  }

  std::unique_ptr<PeerSession> NewSession() {
    auto session = peer_->NewSession();
    EXPECT_TRUE(session.has_value());
    return session ? *std::move(session) : nullptr;
  }

  std::unique_ptr<ScratchDirectory> scratch_;
  std::unique_ptr<Peer> peer_;
};

TEST_P(PeersTest, EveryCallDoesWhatItSays) {
  Open();
  auto session = NewSession();
  std::string value;
  EXPECT_EQ(session->Put("abc", "first"), Outcome::kDone) << session->last_error();
  EXPECT_EQ(session->Get("abc", value), Outcome::kDone);
  EXPECT_EQ(value, "first");
  EXPECT_EQ(session->Put("abc", "longer than that"), Outcome::kDone);
  EXPECT_EQ(session->Get("abc", value), Outcome::kDone);
  EXPECT_EQ(value, "longer than that");
  EXPECT_EQ(session->Get("abd", value), Outcome::kMissing);
  EXPECT_EQ(session->Delete("abc"), Outcome::kDone);
  EXPECT_EQ(session->Get("abc", value), Outcome::kMissing);
  EXPECT_EQ(session->Put("abc", "again"), Outcome::kDone);
  EXPECT_EQ(session->Get("abc", value), Outcome::kDone);
  EXPECT_EQ(value, "again");
  session.reset();
  EXPECT_TRUE(peer_->Close().ok());
}

TEST_P(PeersTest, ManyKeysOfOneCallAreAnsweredInOrder) {
  Open();
  auto session = NewSession();
  std::vector<std::string> texts;
  for (int i = 0; i < 40; ++i) texts.push_back("k" + std::to_string(10 + i));
  std::vector<KeyValue> entries;
  // Every other key; the first one twice, the later value counts.
  for (std::size_t i = 0; i < texts.size(); i += 2) entries.push_back({texts[i], texts[i]});
  entries.insert(entries.begin(), {texts[0], "early"});
  ASSERT_EQ(session->PutBatch(entries), Outcome::kDone) << session->last_error();

  const std::vector<std::string_view> keys(texts.rbegin(), texts.rend());
  std::vector<Answer> answers(keys.size());
  for (int repeat = 0; repeat < 2; ++repeat) {
    ASSERT_EQ(session->MultiGet(keys, answers), Outcome::kDone) << session->last_error();
    for (std::size_t i = 0; i < keys.size(); ++i) {
      EXPECT_EQ(answers[i].found, i % 2 == 1) << i;
      if (i % 2 == 1) {
        EXPECT_EQ(answers[i].value, keys[i]);
      }
    }
  }
  session.reset();
  EXPECT_TRUE(peer_->Close().ok());
}

TEST_P(PeersTest, SeveralThreadsReadAndWriteAtOnce) {
  // Several threads put new keys into the limits under sync_always only.
  Open(GetParam().is_limit);
  constexpr unsigned kThreads = 4;
  std::array<int, kThreads> wrong = {};
  std::vector<std::unique_ptr<PeerSession>> sessions;
  for (unsigned i = 0; i < kThreads; ++i) sessions.push_back(NewSession());
  {
    std::vector<std::jthread> threads;
    for (unsigned thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        PeerSession& session = *sessions[thread];
        std::string value;
        for (int i = 0; i < 200; ++i) {
          const std::string key = std::to_string(thread) + "-" + std::to_string(i);
          wrong[thread] += session.Put(key, key) != Outcome::kDone;
          wrong[thread] += session.Get(key, value) != Outcome::kDone || value != key;
          wrong[thread] += session.Get(key + "x", value) != Outcome::kMissing;
        }
      });
    }
  }
  for (const int count : wrong) EXPECT_EQ(count, 0);
  sessions.clear();
  EXPECT_TRUE(peer_->Close().ok());
}

// A limit can't be reopened.
class ReopenTest : public PeersTest {};

TEST_P(ReopenTest, WhatWasPutIsThere) {
  for (const bool sync_always : {false, true}) {
    const std::string key = sync_always ? "syn" : "not";
    Open(sync_always);
    auto session = NewSession();
    EXPECT_EQ(session->Put(key, "value"), Outcome::kDone) << session->last_error();
    session.reset();
    ASSERT_TRUE(peer_->Close().ok());
    Open(sync_always);
    session = NewSession();
    std::string value;
    EXPECT_EQ(session->Get(key, value), Outcome::kDone);
    EXPECT_EQ(value, "value");
    session.reset();
    ASSERT_TRUE(peer_->Close().ok());
  }
}

std::string NameOf(const testing::TestParamInfo<PeerKind>& kind) {
  std::string name = kind.param.id;
  std::erase(name, '-');
  return name;
}

std::vector<PeerKind> Stores() {
  std::vector<PeerKind> kinds = BuiltPeers();
  std::erase_if(kinds, [](const PeerKind& kind) { return kind.is_limit; });
  return kinds;
}

INSTANTIATE_TEST_SUITE_P(All, PeersTest, testing::ValuesIn(BuiltPeers()), NameOf);
INSTANTIATE_TEST_SUITE_P(All, ReopenTest, testing::ValuesIn(Stores()), NameOf);

TEST(RegistryTest, IdsDifferAndEachKindSaysWhatItDoes) {
  std::vector<std::string> ids;
  for (const PeerKind& kind : BuiltPeers()) {
    EXPECT_EQ(std::ranges::count(ids, kind.id), 0);
    ids.push_back(kind.id);
    EXPECT_FALSE(kind.settings.empty()) << kind.id;
    EXPECT_FALSE(kind.durability.empty()) << kind.id;
    EXPECT_FALSE(kind.sync_always.empty()) << kind.id;
  }
  EXPECT_EQ(ids.front(), "freyja");
}

}  // namespace
}  // namespace freyja::bench
