/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/topic_map.h"

#include <stdlib.h>
#include <string.h>

#include "engine/pattern.h"

/* PCRE2 reads a replacement only once something matches. The same pattern behind an empty
 * alternative matches the empty string with all groups unset: that has the replacement read
 * now, against the groups that it will meet. */
static kfe_error check_replacement(const char *what, const char *either, const char *replacement)
{
    kfe_pattern *pattern;
    kfe_error err = kfe_pattern_new(&pattern, what, either);
    if (err)
        return err;
    char scratch[KFE_NAME_MAX];
    size_t len;
    kfe_bytes empty = {(const uint8_t *)"", 0};
    err = kfe_pattern_replace(pattern, empty, replacement, scratch, sizeof(scratch), &len);
    kfe_pattern_free(pattern);
    if (err)
        return kfe_fail(KFE_E_CONFIG, "%s: replacement '%s': %s", what, replacement,
                        kfe_error_detail());
    return KFE_OK;
}

static kfe_error check_regex(const char *what, const char *regex)
{
    kfe_pattern *pattern;
    kfe_error err = kfe_pattern_new(&pattern, what, regex);
    if (err)
        return err;
    kfe_pattern_free(pattern);
    return KFE_OK;
}

kfe_error kfe_topic_map_check(const char *what, const char *text)
{
    const char *equals = strrchr(text, '=');
    if (equals == NULL || equals == text || equals[1] == '\0')
        return kfe_fail(KFE_E_CONFIG, "%s: '%s' is not of the form REGEX=REPLACEMENT", what, text);
    size_t len = (size_t)(equals - text);
    char *either = malloc(len + 2);
    if (either == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for %s", what);
    either[0] = '|';
    memcpy(either + 1, text, len);
    either[len + 1] = '\0';
    kfe_error err = check_regex(what, either + 1);
    if (!err)
        err = check_replacement(what, either, equals + 1);
    free(either);
    return err;
}
