#include "torture/rot/rot_damage.h"

#include <algorithm>
#include <filesystem>
#include <utility>

namespace freyja::torture {

namespace {

struct Piece {
  std::string file;
  std::size_t offset = 0;
  std::size_t bytes = 0;
  std::string Name() const { return file + " at " + std::to_string(offset); }
};

std::vector<Piece> PiecesOf(const Subject& subject, std::size_t piece) {
  std::vector<Piece> pieces;
  for (const auto& [file, bytes] : subject.files) {
    // What is preallocated gives one piece more.
    const std::size_t end = std::min(bytes.size(), subject.MeaningfulBytes(file) + piece);
    for (std::size_t at = 0; at < end; at += piece) {
      pieces.push_back({file, at, std::min(piece, bytes.size() - at)});
    }
  }
  return pieces;
}

Bytes& Change(Damage& damage, const Subject& subject, const std::string& file) {
  return damage.changed.emplace(file, subject.files.at(file)).first->second;
}

Bytes Read(const Subject& subject, const Piece& piece) {
  const auto begin =
      subject.files.at(piece.file).begin() + static_cast<std::ptrdiff_t>(piece.offset);
  return {begin, begin + static_cast<std::ptrdiff_t>(piece.bytes)};
}

void Write(Bytes& bytes, std::size_t offset, Bytes data) {
  data.resize(std::min(data.size(), bytes.size() - offset));
  std::ranges::copy(data, bytes.begin() + static_cast<std::ptrdiff_t>(offset));
}

// Damage that changes nothing is none.
bool Differs(const Damage& damage, const Subject& subject) {
  return !damage.removed.empty() || std::ranges::any_of(damage.changed, [&](const auto& entry) {
    const auto before = subject.files.find(entry.first);
    return before == subject.files.end() || before->second != entry.second;
  });
}

bool CutAndExtend(const Subject& subject, const std::string& file, std::size_t cut_stride,
                  const Visit& visit) {
  const Bytes& whole = subject.files.at(file);
  const std::size_t end = std::min(whole.size(), subject.MeaningfulBytes(file) + 16);
  for (std::size_t size = 0; size < end; size += cut_stride) {
    Damage damage{.what = file + " cut to " + std::to_string(size), .changed = {}, .removed = {}};
    Bytes& bytes = Change(damage, subject, file);
    bytes.resize(size);
    if (!visit(damage)) return false;
  }
  for (const std::size_t more : {std::size_t{1}, std::size_t{8}, std::size_t{600}}) {
    for (const std::byte fill : {std::byte{0}, std::byte{0xff}, std::byte{'F'}}) {
      Damage damage{.what = file + " extended", .changed = {}, .removed = {}};
      Bytes& bytes = Change(damage, subject, file);
      bytes.resize(bytes.size() + more, fill);
      if (!visit(damage)) return false;
    }
  }
  Damage twice{.what = file + " followed by itself", .changed = {}, .removed = {}};
  Bytes& bytes = Change(twice, subject, file);
  bytes.insert(bytes.end(), whole.begin(), whole.end());
  return visit(twice);
}

std::string KindOf(const std::string& file) {
  return std::filesystem::path(file).extension().native();
}

bool Replace(const Subject& subject, const std::string& file, const Files& others,
             const std::string& whose, const Visit& visit) {
  for (const auto& [name, bytes] : others) {
    // Under its own name, and as what it is not.
    if (name != file && KindOf(name) != KindOf(file)) continue;
    Damage damage{.what = file + " replaced by " + whose + " " + name,
                  .changed = {{file, bytes}},
                  .removed = {}};
    if (Differs(damage, subject) && !visit(damage)) return false;
  }
  return true;
}

}  // namespace

bool FlipBits(const Subject& subject, std::size_t first, std::size_t stride,
              std::size_t tail_stride, const Visit& visit) {
  std::size_t number = 0;
  for (const auto& [file, bytes] : subject.files) {
    const std::size_t meaningful = subject.MeaningfulBytes(file) * 8;
    for (std::size_t bit = 0; bit < bytes.size() * 8;) {
      const bool tail = bit >= meaningful;
      if (tail || number++ % stride == first) {
        if (!visit({.what = file + " bit " + std::to_string(bit),
                    .changed = {},
                    .removed = {},
                    .flip = Damage::Flip{file, bit}})) {
          return false;
        }
      }
      bit += tail ? tail_stride * 8 + 1 : 1;
    }
  }
  return true;
}

bool DamagePieces(const Subject& subject, std::size_t piece, const Visit& visit) {
  const std::vector<Piece> pieces = PiecesOf(subject, piece);
  for (const Piece& to : pieces) {
    Damage zeroed{.what = to.Name() + " zeroed", .changed = {}, .removed = {}};
    Write(Change(zeroed, subject, to.file), to.offset, Bytes(to.bytes));
    if (Differs(zeroed, subject) && !visit(zeroed)) return false;
    for (const Piece& from : pieces) {
      Damage copied{
          .what = to.Name() + " replaced by " + from.Name(), .changed = {}, .removed = {}};
      Write(Change(copied, subject, to.file), to.offset, Read(subject, from));
      if (!Differs(copied, subject)) continue;
      if (!visit(copied)) return false;
      if (&from >= &to) continue;
      Damage swapped = copied;
      swapped.what = to.Name() + " swapped with " + from.Name();
      Write(Change(swapped, subject, from.file), from.offset, Read(subject, to));
      if (!visit(swapped)) return false;
    }
  }
  return true;
}

bool DamageFiles(const Subject& subject, const Subject& other, std::size_t cut_stride,
                 const Visit& visit) {
  for (const auto& [file, bytes] : subject.files) {
    if (!visit({.what = file + " missing", .changed = {}, .removed = {file}})) return false;
    if (!CutAndExtend(subject, file, cut_stride, visit)) return false;
    for (const auto& [second, second_bytes] : subject.files) {
      if (second <= file) continue;
      if (!visit({.what = file + " and " + second + " swapped",
                  .changed = {{file, second_bytes}, {second, bytes}},
                  .removed = {}})) {
        return false;
      }
      if (!visit({.what = file + " and " + second + " missing",
                  .changed = {},
                  .removed = {file, second}})) {
        return false;
      }
    }
    for (std::size_t i = 0; i < subject.earlier.size(); ++i) {
      const std::string whose = "the one of moment " + std::to_string(i) + ",";
      if (!Replace(subject, file, subject.earlier[i], whose, visit)) return false;
    }
    if (!Replace(subject, file, other.files, "another store's", visit)) return false;
  }
  return true;
}

}  // namespace freyja::torture
