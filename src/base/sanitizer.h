// Whether this build looks for misuse of memory by itself.
#pragma once

// clang says it in another way.
#if defined(__has_feature)
#define FREYJA_HAS_FEATURE(feature) __has_feature(feature)
#else
#define FREYJA_HAS_FEATURE(feature) 0
#endif

namespace freyja::base {

// Then memory comes from operator new, so that the use of freed memory is seen.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    FREYJA_HAS_FEATURE(address_sanitizer) || FREYJA_HAS_FEATURE(thread_sanitizer)
inline constexpr bool kWithSanitizer = true;
#else
inline constexpr bool kWithSanitizer = false;
#endif

}  // namespace freyja::base

#undef FREYJA_HAS_FEATURE
