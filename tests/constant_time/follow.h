/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CONSTANT_TIME_FOLLOW_H
#define TESTS_CONSTANT_TIME_FOLLOW_H

/* What follows secrets: valgrind's memcheck, or clang's MemorySanitizer. To either a secret is
 * memory that was never written to, and a branch or an address that depends on it is an error. The
 * kernel under test is compiled with this header before its own (-include). */

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define FOLLOWED_BY_MSAN
#endif
#endif

#ifdef FOLLOWED_BY_MSAN
#include <sanitizer/msan_interface.h>

#define FOLLOW_SECRET(at, len) __msan_allocated_memory(at, len)
#define FOLLOW_PUBLIC(at, len) __msan_unpoison(at, len)

static inline bool follow_is_public(const void *at, size_t len)
{
    return __msan_test_shadow(at, len) == -1;
}

static inline bool follow_is_on(void)
{
    return true;
}
#else
#include <valgrind/memcheck.h>

#define FOLLOW_SECRET(at, len) ((void)VALGRIND_MAKE_MEM_UNDEFINED(at, len))
#define FOLLOW_PUBLIC(at, len) ((void)VALGRIND_MAKE_MEM_DEFINED(at, len))

/* Asks for the state of each bit: VALGRIND_CHECK_MEM_IS_DEFINED would report an error. */
static inline bool follow_is_public(const void *at, size_t len)
{
    unsigned char state[256];
    for (size_t from = 0; from < len; from += sizeof(state)) {
        size_t n = len - from < sizeof(state) ? len - from : sizeof(state);
        if (VALGRIND_GET_VBITS((const char *)at + from, state, n) != 1)
            return false;
        for (size_t i = 0; i < n; i++)
            if (state[i] != 0)
                return false;
    }
    return true;
}

static inline bool follow_is_on(void)
{
    return RUNNING_ON_VALGRIND != 0;
}
#endif

#define KFE_PUBLIC(at, len) FOLLOW_PUBLIC(at, len)

#endif
