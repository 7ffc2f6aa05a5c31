// The whole public API of FreyjaDB.
#pragma once

#include "freyja/compaction.h"
#include "freyja/control.h"
#include "freyja/iterator.h"
#include "freyja/kv_store.h"
#include "freyja/metrics.h"
#include "freyja/options.h"
#include "freyja/scheduler_options.h"
#include "freyja/stats.h"
#include "freyja/status.h"
#include "freyja/write_batch.h"
