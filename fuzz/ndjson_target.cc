// Loading NDJSON. The first byte of the input is the size of the pieces it is read in; the
// properties are those of CheckLoading (text_checks.h).
#include "fuzz/targets.h"
#include "fuzz/text_checks.h"

namespace freyja::fuzz {

void FuzzNdjson(Bytes data) { CheckLoading(data, cli::RecordFormat::kNdjson); }

}  // namespace freyja::fuzz
