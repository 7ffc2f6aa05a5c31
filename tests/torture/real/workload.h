// What a child writes, known to its parent beforehand, and the parent's record of it.
//
// Every write follows from the shape, the writer and the write's number alone. So a child has to
// report no more than "writer 2: number 17 returned" for the parent to know which states the
// store may be found in: those after a prefix of each writer's writes that includes what was
// reported, and no more than the one write that was under way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "support/history.h"
#include "torture/report.h"

namespace freyja::torture::real {

struct Shape {
  std::uint64_t seed = 1;
  std::uint64_t writers = 1;
  std::uint64_t keys = 40;  // of each writer
  std::uint64_t value_bytes = 600;
};

support::Write WriteOf(const Shape& shape, std::uint64_t writer, std::uint64_t number);
// Whether that write asks to be durable before it returns, if the store's policy does not.
bool AsksForSync(const Shape& shape, std::uint64_t writer, std::uint64_t number);

// A wrong that was found, of which kind.
struct Finding {
  Wrong wrong = Wrong::kOther;
  std::string what;
};

// The writes of one life of a store, by all its writers. Numbers begin at `first`.
class Ledger {
 public:
  Ledger(const Shape& shape, const support::Contents& base, std::uint64_t first);

  // The write returned; with `durable`: it had asked to be durable.
  void Returned(std::uint64_t writer, std::uint64_t number, bool durable);
  // A Sync that the writer called after that write returned.
  void Synced(std::uint64_t writer);

  // How many writes of each writer must be found at least.
  using Floor = std::vector<std::size_t>;
  const Floor& acknowledged() const { return acknowledged_; }
  const Floor& durable() const { return durable_; }
  std::size_t total_acknowledged() const;

  // Empty if `found` may be found: whole writes, in order, at least `floor`, at most those that
  // returned and one more of each writer.
  std::optional<Finding> Judge(const support::Contents& found, const Floor& floor) const;

 private:
  Finding Classify(std::uint64_t writer, const support::Contents& found, std::size_t floor,
                   std::string what) const;
  void BecameDurable(std::uint64_t writer);

  const Shape shape_;
  const std::uint64_t first_;
  // Of each writer; its history is always one write ahead of what was acknowledged.
  std::vector<support::History> histories_;
  Floor acknowledged_;
  Floor durable_;
  // What had been acknowledged, by all, when this writer's latest message was sent. A later
  // sync of this writer covers all of that.
  std::vector<Floor> seen_;
};

}  // namespace freyja::torture::real
