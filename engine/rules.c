/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/rules.h"

#include <stdlib.h>
#include <string.h>

#include "engine/pattern.h"

struct rule {
    kfe_pattern *pattern;
    kfe_template *key;
};

struct kfe_rules {
    size_t n;
    struct rule rules[];
};

const char *kfe_rule_divider(const char *from, const char *to, char c)
{
    for (; from < to; from++) {
        if (*from == c)
            return from;
        if (*from == '\\' && from + 1 < to)
            from++;
    }
    return NULL;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

static void cut_blanks(const char **from, const char **to)
{
    while (*from < *to && blank(**from))
        ++*from;
    while (*to > *from && blank((*to)[-1]))
        --*to;
}

/* Turns the escaped KEY into plain text, in place. */
static void unescape(char *text)
{
    char *to = text;
    for (; *text != '\0'; text++) {
        if (*text == '\\' && text[1] != '\0')
            text++;
        *to++ = *text;
    }
    *to = '\0';
}

static kfe_error make_rule(struct rule *rule, const char *what, const char *pattern,
                           const char *key)
{
    kfe_error err = kfe_pattern_new(&rule->pattern, what, pattern);
    if (err)
        return err;
    return kfe_template_new(&rule->key, what, key);
}

/* One item, [from, to) without blanks around. */
static kfe_error read_rule(struct rule *rule, const char *what, const char *from, const char *to)
{
    const char *equals = kfe_rule_divider(from, to, '=');
    if (equals == NULL)
        return kfe_fail(KFE_E_CONFIG, "%s: '%.*s' is not of the form PATTERN=KEY", what,
                        (int)(to - from), from);
    const char *key_from = equals + 1;
    cut_blanks(&from, &equals);
    cut_blanks(&key_from, &to);
    if (from == equals || key_from == to)
        return kfe_fail(KFE_E_CONFIG, "%s: an item has an empty %s", what,
                        from == equals ? "pattern"
                                       : "key: topics that stay in clear belong in "
                                         "encryption.unencrypted.topics");
    char *pattern = strndup(from, (size_t)(equals - from));
    char *key = strndup(key_from, (size_t)(to - key_from));
    kfe_error err;
    if (pattern != NULL && key != NULL) {
        unescape(key);
        err = make_rule(rule, what, pattern, key);
    } else {
        err = kfe_fail(KFE_E_MEMORY, "no memory for %s", what);
    }
    free(pattern);
    free(key);
    return err;
}

static kfe_error read_rules(kfe_rules *rules, const char *what, const char *text)
{
    const char *end = text + strlen(text);
    while (text < end) {
        const char *semicolon = kfe_rule_divider(text, end, ';');
        const char *from = text, *to = semicolon != NULL ? semicolon : end;
        text = semicolon != NULL ? semicolon + 1 : end;
        cut_blanks(&from, &to);
        if (from == to)
            continue;
        kfe_error err = read_rule(&rules->rules[rules->n++], what, from, to);
        if (err)
            return err;
    }
    if (rules->n == 0)
        return kfe_fail(KFE_E_CONFIG, "%s is empty: leave it out instead", what);
    return KFE_OK;
}

kfe_error kfe_rules_new(kfe_rules **out, const char *what, const char *text)
{
    size_t room = 1;
    for (const char *c = text; *c != '\0'; c++)
        room += *c == ';';
    kfe_rules *rules = calloc(1, sizeof(*rules) + room * sizeof(*rules->rules));
    if (rules == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for %s", what);
    kfe_error err = read_rules(rules, what, text);
    if (err) {
        kfe_rules_free(rules);
        return err;
    }
    *out = rules;
    return KFE_OK;
}

void kfe_rules_free(kfe_rules *rules)
{
    if (rules == NULL)
        return;
    for (size_t i = 0; i < rules->n; i++) {
        kfe_pattern_free(rules->rules[i].pattern);
        kfe_template_free(rules->rules[i].key);
    }
    free(rules);
}

bool kfe_rules_read_headers(const kfe_rules *rules)
{
    for (size_t i = 0; i < rules->n; i++)
        if (kfe_template_reads_headers(rules->rules[i].key))
            return true;
    return false;
}

kfe_error kfe_rules_find(const kfe_rules *rules, kfe_bytes topic, const kfe_template **out)
{
    *out = NULL;
    bool matches = false;
    kfe_error err = KFE_OK;
    for (size_t i = 0; !err && !matches && i < rules->n; i++) {
        err = kfe_pattern_match(rules->rules[i].pattern, topic, &matches);
        if (!err && matches)
            *out = rules->rules[i].key;
    }
    return err;
}
