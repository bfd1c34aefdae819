/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/pattern.h"

#include <pcre2.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Far above what a name of a topic or header needs; a hostile one costs about a millisecond. */
enum { MATCH_LIMIT = 100000, DEPTH_LIMIT = 20000, HEAP_LIMIT_KIB = 16384 };

/* Matching needs memory to note groups in. Threads borrow it from here, so that a match
 * allocates nothing unless more threads than this meet at one pattern. */
enum { SPARES = 4 };

struct kfe_pattern {
    pcre2_code *code;
    pcre2_match_context *limits;
    _Atomic(pcre2_match_data *) *spares;
    bool all; /* ".*", the default for headers, is asked for every header and needs no matching */
};

static pcre2_match_data *borrow(const kfe_pattern *pattern)
{
    for (size_t i = 0; i < SPARES; i++) {
        pcre2_match_data *data = atomic_exchange(&pattern->spares[i], NULL);
        if (data != NULL)
            return data;
    }
    return pcre2_match_data_create_from_pattern(pattern->code, NULL);
}

static void give_back(const kfe_pattern *pattern, pcre2_match_data *data)
{
    for (size_t i = 0; i < SPARES; i++) {
        pcre2_match_data *none = NULL;
        if (atomic_compare_exchange_strong(&pattern->spares[i], &none, data))
            return;
    }
    pcre2_match_data_free(data);
}

static kfe_error fail_pcre2(const char *what, const char *pattern, int code, size_t offset)
{
    PCRE2_UCHAR reason[120];
    pcre2_get_error_message(code, reason, sizeof(reason));
    return kfe_fail(KFE_E_CONFIG, "%s: pattern '%s': %s (at byte %zu)", what, pattern,
                    (const char *)reason, offset);
}

static kfe_error compile(pcre2_code **out, const char *what, const char *pattern)
{
    int code;
    PCRE2_SIZE offset;
    uint32_t options =
        PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF;
    *out = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &code, &offset, NULL);
    if (*out == NULL)
        return fail_pcre2(what, pattern, code, offset);
    /* Where no executable memory can be had, the interpreter does the same, slower. */
    (void)pcre2_jit_compile(*out, PCRE2_JIT_COMPLETE);
    return KFE_OK;
}

static kfe_error prepare(kfe_pattern *pattern, const char *what)
{
    pattern->limits = pcre2_match_context_create(NULL);
    pattern->spares = calloc(SPARES, sizeof(*pattern->spares));
    if (pattern->limits == NULL || pattern->spares == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for %s", what);
    pcre2_set_match_limit(pattern->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(pattern->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(pattern->limits, HEAP_LIMIT_KIB);
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(pattern->code, NULL);
    if (data == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for %s", what);
    give_back(pattern, data);
    return KFE_OK;
}

kfe_error kfe_pattern_new(kfe_pattern **out, const char *what, const char *pattern)
{
    kfe_pattern *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for %s", what);
    made->all = strcmp(pattern, ".*") == 0;
    kfe_error err = compile(&made->code, what, pattern);
    if (!err)
        err = prepare(made, what);
    if (err) {
        kfe_pattern_free(made);
        return err;
    }
    *out = made;
    return KFE_OK;
}

void kfe_pattern_free(kfe_pattern *pattern)
{
    if (pattern == NULL)
        return;
    for (size_t i = 0; pattern->spares != NULL && i < SPARES; i++)
        pcre2_match_data_free(atomic_load(&pattern->spares[i]));
    free(pattern->spares);
    pcre2_match_context_free(pattern->limits);
    pcre2_code_free(pattern->code);
    free(pattern);
}

static PCRE2_SPTR subject(kfe_bytes text)
{
    return text.data != NULL ? text.data : (PCRE2_SPTR) "";
}

/* A long subject can outgrow the small stack that compiled patterns run on: the interpreter,
 * whose memory the heap limit bounds, then decides. */
static int match(const kfe_pattern *pattern, kfe_bytes text, pcre2_match_data *data)
{
    int n = pcre2_match(pattern->code, subject(text), text.len, 0, 0, data, pattern->limits);
    if (n == PCRE2_ERROR_JIT_STACKLIMIT)
        n = pcre2_match(pattern->code, subject(text), text.len, 0, PCRE2_NO_JIT, data,
                        pattern->limits);
    return n;
}

kfe_error kfe_pattern_match(const kfe_pattern *pattern, kfe_bytes text, bool *matches)
{
    *matches = pattern->all;
    if (pattern->all)
        return KFE_OK;
    pcre2_match_data *data = borrow(pattern);
    if (data == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory to match");
    int n = match(pattern, text, data);
    give_back(pattern, data);
    *matches = n >= 0;
    if (n >= 0 || n == PCRE2_ERROR_NOMATCH)
        return KFE_OK;
    PCRE2_UCHAR reason[120];
    pcre2_get_error_message(n, reason, sizeof(reason));
    return kfe_fail(KFE_E_RECORD, "a pattern cannot be matched: %s", (const char *)reason);
}

static kfe_error fail_replace(int code)
{
    if (code == PCRE2_ERROR_NOMEMORY)
        return kfe_fail(KFE_E_SPACE, "the replaced text is too long");
    PCRE2_UCHAR reason[120];
    pcre2_get_error_message(code, reason, sizeof(reason));
    return kfe_fail(KFE_E_CONFIG, "%s", (const char *)reason);
}

static int substitute(const kfe_pattern *pattern, kfe_bytes text, const char *replacement,
                      pcre2_match_data *data, char *out, size_t *size)
{
    const uint32_t options = PCRE2_SUBSTITUTE_UNSET_EMPTY;
    size_t room = *size;
    int n =
        pcre2_substitute(pattern->code, subject(text), text.len, 0, options, data, pattern->limits,
                         (PCRE2_SPTR)replacement, PCRE2_ZERO_TERMINATED, (PCRE2_UCHAR *)out, size);
    if (n != PCRE2_ERROR_JIT_STACKLIMIT)
        return n;
    *size = room;
    return pcre2_substitute(pattern->code, subject(text), text.len, 0, options | PCRE2_NO_JIT, data,
                            pattern->limits, (PCRE2_SPTR)replacement, PCRE2_ZERO_TERMINATED,
                            (PCRE2_UCHAR *)out, size);
}

kfe_error kfe_pattern_replace(const kfe_pattern *pattern, kfe_bytes text, const char *replacement,
                              char *out, size_t cap, size_t *len)
{
    PCRE2_SIZE size = cap;
    pcre2_match_data *data = borrow(pattern);
    if (data == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory to replace");
    int n = substitute(pattern, text, replacement, data, out, &size);
    give_back(pattern, data);
    if (n < 0)
        return fail_replace(n);
    if (n == 0)
        return kfe_fail(KFE_E_ARGUMENT, "the pattern does not match");
    *len = size;
    return KFE_OK;
}
