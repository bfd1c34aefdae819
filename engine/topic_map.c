/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/topic_map.h"

#include <stdlib.h>
#include <string.h>

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

kfe_error kfe_topic_map_new(const char *what, const char *text, kfe_pattern **regex,
                            char **replacement)
{
    const char *equals = strrchr(text, '=');
    if (equals == NULL || equals == text || equals[1] == '\0')
        return kfe_fail(KFE_E_CONFIG, "%s: '%s' is not of the form REGEX=REPLACEMENT", what, text);
    char *left = strndup(text, (size_t)(equals - text)), *right = strdup(equals + 1);
    kfe_error err = left == NULL || right == NULL ? kfe_fail(KFE_E_MEMORY, "no memory for %s", what)
                                                  : kfe_pattern_new(regex, what, left);
    free(left);
    if (err)
        free(right);
    else
        *replacement = right;
    return err;
}

kfe_error kfe_topic_map_check(const char *what, const char *text)
{
    kfe_pattern *regex = NULL;
    char *replacement = NULL;
    kfe_error err = kfe_topic_map_new(what, text, &regex, &replacement);
    if (err)
        return err;
    kfe_pattern_free(regex);
    size_t len = (size_t)(strrchr(text, '=') - text);
    char *either = malloc(len + 2);
    if (either == NULL) {
        err = kfe_fail(KFE_E_MEMORY, "no memory for %s", what);
    } else {
        either[0] = '|';
        memcpy(either + 1, text, len);
        either[len + 1] = '\0';
        err = check_replacement(what, either, replacement);
    }
    free(either);
    free(replacement);
    return err;
}
