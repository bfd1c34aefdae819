/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "engine/envelope.h"
#include "engine/key_name.h"
#include "engine/options.h"
#include "engine/pattern.h"
#include "engine/rules.h"
#include "engine/template.h"
#include "engine/topic_map.h"

enum { LIST_MAX = 8, CHOICES_TEXT = 96 };

bool kfe_option_number(const char *value, uint64_t *out)
{
    uint64_t n = 0;
    if (*value == '\0')
        return false;
    for (; *value != '\0'; value++) {
        if (*value < '0' || *value > '9')
            return false;
        unsigned digit = (unsigned)(*value - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

static bool identifier(const char *text)
{
    if (*text == '\0' || isdigit((unsigned char)*text))
        return false;
    while (isalnum((unsigned char)*text) || *text == '_')
        text++;
    return *text == '\0';
}

const char *kfe_class_symbol(const char *value)
{
    const char *colon = strrchr(value, ':');
    if (value[0] != '/' || colon == NULL || colon[-1] == '/' || !identifier(colon + 1))
        return NULL;
    return colon + 1;
}

/* A choice that ends in ':' stands for itself with some text behind. */
static bool is_choice(const char *choice, const char *value, size_t len)
{
    size_t n = strlen(choice);
    if (choice[n - 1] == ':')
        return len > n && strncmp(choice, value, n) == 0;
    return len == n && memcmp(choice, value, n) == 0;
}

/* The place of `value` among the choices, LIST_MAX when it is none of them. */
static size_t choice_index(const char *const *choices, const char *value, size_t len)
{
    for (size_t i = 0; choices != NULL && choices[i] != NULL; i++)
        if (is_choice(choices[i], value, len))
            return i;
    return LIST_MAX;
}

static kfe_error not_yet(const kfe_option *option, const char *value)
{
    return kfe_fail(KFE_E_CONFIG, "%s=%s: this version of kfe does not have it yet", option->name,
                    value);
}

static kfe_error no_choice(const kfe_option *option, const char *value)
{
    char all[CHOICES_TEXT] = "";
    size_t used = 0;
    for (const char *const *c = option->choices; *c != NULL && used < sizeof(all); c++) {
        int n = snprintf(all + used, sizeof(all) - used, "%s%s%s", used == 0 ? "" : ", ", *c,
                         (*c)[strlen(*c) - 1] == ':' ? "TEXT" : "");
        used += n < 0 ? sizeof(all) : (size_t)n;
    }
    return kfe_fail(KFE_E_CONFIG, "%s: '%s' is not one of: %s", option->name, value, all);
}

static kfe_error check_choice(const kfe_option *option, const char *value)
{
    if (choice_index(option->later, value, strlen(value)) != LIST_MAX)
        return not_yet(option, value);
    if (choice_index(option->choices, value, strlen(value)) == LIST_MAX)
        return no_choice(option, value);
    return KFE_OK;
}

static kfe_error check_list(const kfe_option *option, const char *value)
{
    bool seen[LIST_MAX] = {false};
    for (const char *item = value;; item++) {
        size_t len = strcspn(item, ",");
        size_t i = choice_index(option->choices, item, len);
        if (i == LIST_MAX)
            return no_choice(option, value);
        if (seen[i])
            return kfe_fail(KFE_E_CONFIG, "%s: '%s' names %s twice", option->name, value,
                            option->choices[i]);
        seen[i] = true;
        item += len;
        if (*item == '\0')
            return KFE_OK;
    }
}

/* The length of NAME in NAME=CHOICE, which may hold another '='; 0 for a CHOICE alone. */
static size_t named(const char *item, size_t len, const char **choice)
{
    const char *equals = memrchr(item, '=', len);
    *choice = equals ? equals + 1 : item;
    return equals ? (size_t)(equals - item) : 0;
}

/* Is that name, or none, among those before `item`? */
static bool is_repeated(const char *value, const char *item, size_t name_len)
{
    const char *choice;
    for (const char *at = value; at < item; at += strcspn(at, ",") + 1)
        if (named(at, strcspn(at, ","), &choice) == name_len && memcmp(at, item, name_len) == 0)
            return true;
    return false;
}

/* Blanks at its ends would be part of it, and the key another one than was meant. */
static bool is_key_name(const char *name, size_t len)
{
    return kfe_key_name_ok((kfe_bytes){(const uint8_t *)name, len}) && name[0] != ' ' &&
           name[len - 1] != ' ';
}

static kfe_error check_kinds(const kfe_option *option, const char *value)
{
    for (const char *item = value;; item++) {
        const char *choice;
        const size_t len = strcspn(item, ","), name_len = named(item, len, &choice);
        char text[CHOICES_TEXT];
        snprintf(text, sizeof(text), "%.*s", (int)(len - (size_t)(choice - item)), choice);
        if (choice_index(option->choices, text, strlen(text)) == LIST_MAX)
            return no_choice(option, text);
        if (choice > item && !is_key_name(item, name_len))
            return kfe_fail(KFE_E_CONFIG, "%s: '%.*s' has no name of a key before its '='",
                            option->name, (int)len, item);
        if (is_repeated(value, item, name_len))
            return kfe_fail(KFE_E_CONFIG, "%s: '%s' says twice what is to be of %s%.*s",
                            option->name, value, name_len ? "key " : "all keys", (int)name_len,
                            item);
        item += len;
        if (*item == '\0')
            return KFE_OK;
    }
}

static kfe_error check_number(const kfe_option *option, const char *value)
{
    uint64_t n;
    if (!kfe_option_number(value, &n) || n < option->min || n > option->max)
        return kfe_fail(KFE_E_CONFIG, "%s: '%s' is not a whole number from %llu to %llu",
                        option->name, value, (unsigned long long)option->min,
                        (unsigned long long)option->max);
    return KFE_OK;
}

static kfe_error check_pattern(const kfe_option *option, const char *value)
{
    kfe_pattern *pattern;
    kfe_error err = kfe_pattern_new(&pattern, option->name, value);
    if (err)
        return err;
    kfe_pattern_free(pattern);
    return KFE_OK;
}

static kfe_error check_text(const kfe_option *option, const char *value)
{
    if (*value == '\0')
        return kfe_fail(KFE_E_CONFIG, "%s is empty: leave it out instead", option->name);
    return KFE_OK;
}

/* Whoever writes a PIN here by mistake must not find it in a log. */
static kfe_error check_secret(const kfe_option *option, const char *value)
{
    if ((strncmp(value, "env:", 4) == 0 && value[4] != '\0') ||
        (strncmp(value, "file:", 5) == 0 && value[5] != '\0'))
        return KFE_OK;
    return kfe_fail(KFE_E_CONFIG, "%s is never given literally: write env:NAME or file:PATH",
                    option->name);
}

static kfe_error check_class(const kfe_option *option, const char *value)
{
    if (choice_index(option->choices, value, strlen(value)) != LIST_MAX ||
        kfe_class_symbol(value) != NULL)
        return KFE_OK;
    return kfe_fail(KFE_E_CONFIG,
                    "%s: '%s' is neither a class that is built in (%s%s%s) nor of the form "
                    "/path/library.so:symbol (an absolute path)",
                    option->name, value, option->choices[0], option->choices[1] ? ", " : "",
                    option->choices[1] ? option->choices[1] : "");
}

static kfe_error check_key(const kfe_option *option, const char *value)
{
    kfe_template *key;
    kfe_error err = kfe_template_new(&key, option->name, value);
    if (err)
        return err;
    kfe_template_free(key);
    return KFE_OK;
}

static kfe_error check_key_ref(const kfe_option *option, const char *value)
{
    char name[KFE_NAME_MAX + 1];
    uint32_t version;
    return kfe_key_ref_parse(option->name, value, name, &version);
}

static kfe_error check_rules(const kfe_option *option, const char *value)
{
    kfe_rules *rules;
    kfe_error err = kfe_rules_new(&rules, option->name, value);
    if (err)
        return err;
    kfe_rules_free(rules);
    return KFE_OK;
}

kfe_error kfe_option_check(const kfe_option *option, const char *value)
{
    switch (option->kind) {
    case KFE_OPTION_CHOICE:
        return check_choice(option, value);
    case KFE_OPTION_LIST:
        return check_list(option, value);
    case KFE_OPTION_KINDS:
        return check_kinds(option, value);
    case KFE_OPTION_NUMBER:
        return check_number(option, value);
    case KFE_OPTION_PATTERN:
        return check_pattern(option, value);
    case KFE_OPTION_TEXT:
        return check_text(option, value);
    case KFE_OPTION_SECRET:
        return check_secret(option, value);
    case KFE_OPTION_CLASS:
        return check_class(option, value);
    case KFE_OPTION_KEY:
        return check_key(option, value);
    case KFE_OPTION_KEY_REF:
        return check_key_ref(option, value);
    case KFE_OPTION_RULES:
        return check_rules(option, value);
    case KFE_OPTION_TOPIC_MAP:
        return kfe_topic_map_check(option->name, value);
    }
    return kfe_fail(KFE_E_CONFIG, "%s has no kind", option->name);
}
