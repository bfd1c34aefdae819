/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_OPTIONS_H
#define KFE_ENGINE_OPTIONS_H

/* The one table of `encryption.*` options (docs/configuration.md): names, kinds, defaults and
 * limits. Nothing here knows what is set. All of it is const, so any thread may read it. */

#include <stdbool.h>

#include <kfe/error.h>

typedef enum {
    KFE_OPTION_CHOICE,    /* one of `choices`; true and false are such choices */
    KFE_OPTION_LIST,      /* some of `choices` with commas between them, each at most once */
    KFE_OPTION_KINDS,     /* one of `choices` for all keys, and NAME=CHOICE for some, with commas */
    KFE_OPTION_NUMBER,    /* decimal digits, `min` to `max` */
    KFE_OPTION_PATTERN,   /* engine/pattern.h; may be empty */
    KFE_OPTION_TEXT,      /* anything but the empty string */
    KFE_OPTION_SECRET,    /* where a secret stands: `env:NAME` or `file:PATH` */
    KFE_OPTION_CLASS,     /* one of `choices`, or `/path/library.so:symbol` */
    KFE_OPTION_KEY,       /* engine/template.h */
    KFE_OPTION_KEY_REF,   /* engine/key_name.h: NAME@VERSION */
    KFE_OPTION_RULES,     /* engine/rules.h: PATTERN=KEY;... */
    KFE_OPTION_TOPIC_MAP, /* engine/topic_map.h: REGEX=REPLACEMENT */
} kfe_option_kind;

typedef struct {
    const char *name;
    const char *initial;        /* the default; NULL: none */
    const char *const *choices; /* NULL at the end; one that ends in ':' takes text behind it */
    const char *const *later;   /* the choices that this version lacks, same form; or NULL */
    uint64_t min, max;
    kfe_option_kind kind;
    bool generic; /* under a class prefix, yet every class has it: the engine reads it */
} kfe_option;

#define KFE_PROVIDER_PREFIX "encryption.keyprovider."
#define KFE_MANAGER_PREFIX "encryption.keymanager."

/* NULL when there is none of exactly this name. */
const kfe_option *kfe_option_find(const char *name);

/* The option that `name` is a dashed spelling of (KIP-317 writes encryption.keyprovider-class):
 * each '-' behind `encryption.` stands for a '.'. NULL when there is none. */
const kfe_option *kfe_option_find_dashed(const char *name);

/* KFE_E_CONFIG: the value is not of the option's kind, or this version lacks it. A secret's
 * value is never quoted. */
kfe_error kfe_option_check(const kfe_option *option, const char *value);

/* The name with the fewest edits from `name`, of the whole table. */
const char *kfe_option_nearest(const char *name);
/* The same of `names` (NULL at the end; may be NULL) and the generic options under `prefix`. */
const char *kfe_option_nearest_of(const char *name, const char *const *names, const char *prefix);

/* Decimal digits and nothing else that fit 64 bits. */
bool kfe_option_number(const char *value, uint64_t *out);

/* The symbol in `/path/library.so:symbol`: an absolute path, then a C identifier behind the last
 * colon. NULL when `value` has not that form. */
const char *kfe_class_symbol(const char *value);

#endif
