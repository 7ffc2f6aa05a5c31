// Ways to damage a store.
#pragma once

#include <cstddef>
#include <functional>

#include "torture/rot/rot_examiner.h"
#include "torture/rot/rot_subject.h"

namespace freyja::torture {

using Visit = std::function<bool(const Damage&)>;  // `false`: enough

// Every bit of every file whose number is `first` plus a multiple of `stride`; of the zeros a
// file was preallocated with, one bit in `tail_stride` bytes. `false` if visiting was ended.
bool FlipBits(const Subject& subject, std::size_t first, std::size_t stride,
              std::size_t tail_stride, const Visit& visit);
// Pieces of `piece` bytes, which are sectors when it is 512, of all files: zeroed, overwritten
// with another piece, swapped with another one, of the same or another file.
bool DamagePieces(const Subject& subject, std::size_t piece, const Visit& visit);
// Files missing, cut, extended, swapped, replaced by an older copy or by that of `other`.
bool DamageFiles(const Subject& subject, const Subject& other, std::size_t cut_stride,
                 const Visit& visit);

}  // namespace freyja::torture
