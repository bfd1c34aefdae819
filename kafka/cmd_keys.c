/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/cmd_keys_move.h"
#include "kafka/cmd_secret.h"

/* One version of a key, copied: what a provider lists lives only for the call. */
typedef struct {
    char *name, *where, *wrong;
    uint32_t version;
    kfe_key_state state;
} row;

typedef struct {
    row *rows;
    size_t n, cap;
} table;

static kfe_error add_row(void *arg, const kfe_key_info *key)
{
    table *t = arg;
    if (t->n == t->cap) {
        size_t cap = t->cap == 0 ? 64 : t->cap * 2;
        row *rows = reallocarray(t->rows, cap, sizeof(*rows));
        if (rows == NULL)
            return kfe_fail(KFE_E_MEMORY, "out of memory");
        t->rows = rows;
        t->cap = cap;
    }
    row *r = &t->rows[t->n];
    r->name = strdup(key->name);
    r->where = strdup(KFE_HAS(key, where) ? key->where : "");
    r->wrong = strdup(KFE_HAS(key, wrong) ? key->wrong : "");
    r->version = key->version;
    r->state = key->state;
    t->n++;
    if (r->name == NULL || r->where == NULL || r->wrong == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    return KFE_OK;
}

static int compare_rows(const void *a, const void *b)
{
    const row *x = a, *y = b;
    int names = strcmp(x->name, y->name);
    if (names != 0)
        return names;
    return (x->version > y->version) - (x->version < y->version);
}

static void print_table(const table *t)
{
    int width = (int)strlen("NAME");
    for (size_t i = 0; i < t->n; i++)
        if ((int)strlen(t->rows[i].name) > width)
            width = (int)strlen(t->rows[i].name);
    printf("%-*s  %7s  %-12s  WHERE\n", width, "NAME", "VERSION", "STATE");
    for (size_t i = 0; i < t->n; i++) {
        const row *r = &t->rows[i];
        printf("%-*s  %7u  %-12s  %s\n", width, r->name, (unsigned)r->version,
               kfe_key_state_name(r->state), r->where);
        if (r->wrong[0] != '\0')
            printf("%*s  ^ refused: %s\n", width, "", r->wrong);
    }
}

static kfe_error list_keys(kfe_key_provider *provider)
{
    table t = {0};
    kfe_error err = provider->ops->list(provider, add_row, &t);
    if (!err) {
        if (t.n > 0)
            qsort(t.rows, t.n, sizeof(*t.rows), compare_rows);
        print_table(&t);
    }
    for (size_t i = 0; i < t.n; i++) {
        free(t.rows[i].name);
        free(t.rows[i].where);
        free(t.rows[i].wrong);
    }
    free(t.rows);
    return err;
}

typedef struct {
    char name[KFE_NAME_MAX + 1];
    uint32_t version; /* 0: none given */
} key_argument;

static bool read_version(const char *text, uint32_t *out)
{
    if (*text < '1' || *text > '9' || strlen(text) > 10 ||
        strspn(text, "0123456789") != strlen(text))
        return false;
    unsigned long long number = strtoull(text, NULL, 10);
    if (number > UINT32_MAX)
        return false;
    *out = (uint32_t)number;
    return true;
}

/* NAME@VERSION or NAME VERSION when a version is wanted; else all of it is the name, which may
 * hold an @ itself. */
static kfe_error read_key(const kfe_cmd_options *o, bool versioned, key_argument *out)
{
    const char *action = o->args[0];
    int most = versioned || strcmp(action, "import") == 0 ? 3 : 2;
    if (o->n_args < 2 || o->n_args > most)
        return kfe_fail(KFE_E_ARGUMENT, "kfe keys %s wants %s", action,
                        versioned ? "NAME@VERSION" : "the NAME of one key");
    const char *name = o->args[1];
    size_t len = strlen(name);
    const char *version = NULL;
    if (versioned && o->n_args == 3) {
        version = o->args[2];
    } else if (versioned) {
        const char *at = strrchr(name, '@');
        if (at != NULL) {
            len = (size_t)(at - name);
            version = at + 1;
        }
    }
    if (versioned && (version == NULL || !read_version(version, &out->version)))
        return kfe_fail(KFE_E_ARGUMENT, "kfe keys %s wants NAME@VERSION, version 1 or above",
                        action);
    if (len >= sizeof(out->name))
        return kfe_fail(KFE_E_ARGUMENT, "the name of a key has at most %d bytes", KFE_NAME_MAX);
    memcpy(out->name, name, len);
    out->name[len] = '\0';
    return kfe_key_name_check(out->name);
}

static kfe_error lacks(const kfe_key_provider *provider, const char *action)
{
    return kfe_fail(KFE_E_ARGUMENT, "KeyProvider %s cannot %s keys: use its own tools",
                    provider->ops->name, action);
}

static kfe_error set_state(kfe_key_provider *provider, const key_argument *key, kfe_key_state state)
{
    kfe_key_ref ref = {key->name, key->version};
    kfe_error err = provider->ops->set_state(provider, &ref, state);
    if (!err)
        printf("%s@%u %s\n", key->name, (unsigned)key->version, kfe_key_state_name(state));
    return err;
}

static kfe_error confirm_destroy(const kfe_cmd_options *o, const key_argument *key)
{
    char question[KFE_NAME_MAX + 128];
    snprintf(question, sizeof(question),
             "Destroy %s@%u? What it sealed can never be opened again. Type yes:", key->name,
             (unsigned)key->version);
    if (o->yes || kfe_cmd_confirm(question))
        return KFE_OK;
    return kfe_fail(KFE_E_ARGUMENT, "not confirmed, nothing destroyed: answer yes on the terminal, "
                                    "or give --yes");
}

/* "" and the like are no kind. */
static bool read_kind(const char *text, kfe_key_purpose *out)
{
    static const char *const names[] = {"derived", "wrapped", "direct", "rsa"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (kfe_key_purpose)i;
            return true;
        }
    return false;
}

static kfe_error create_key(const kfe_cmd_options *o, kfe_key_provider *provider,
                            const key_argument *key)
{
    kfe_key_purpose kind = KFE_FOR_DERIVED;
    if (o->kind != NULL && !read_kind(o->kind, &kind))
        return kfe_fail(KFE_E_ARGUMENT, "--kind wants derived, wrapped, direct or rsa");
    if (o->kind != NULL && kind != KFE_FOR_DERIVED && !KFE_HAS(provider->ops, create_kind))
        return kfe_fail(KFE_E_ARGUMENT, "KeyProvider %s makes keys of the kind derived alone",
                        provider->ops->name);
    kfe_error err = o->kind != NULL && KFE_HAS(provider->ops, create_kind)
                        ? provider->ops->create_kind(provider, key->name, kind)
                        : provider->ops->create(provider, key->name);
    if (!err)
        printf("%s@1 active\n", key->name);
    return err;
}

static kfe_error rotate_key(kfe_key_provider *provider, const key_argument *key)
{
    uint32_t version = 0;
    kfe_error err = provider->ops->rotate(provider, key->name, &version);
    if (!err)
        printf("%s@%u active\n", key->name, (unsigned)version);
    return err;
}

typedef enum { LIST, CREATE, ROTATE, RETIRE, DESTROY, PROBE, IMPORT, EXPORT, N_ACTIONS } action;

static const char *const action_names[N_ACTIONS] = {
    "list", "create", "rotate", "retire", "destroy", "probe", "import", "export-wrapped"};

static kfe_error act(const kfe_cmd_options *o, kfe_key_provider *provider, action what,
                     const key_argument *key)
{
    const kfe_key_provider_ops *ops = provider->ops;
    switch (what) {
    case LIST:
        return KFE_HAS(ops, list) ? list_keys(provider) : lacks(provider, "list");
    case CREATE:
        return KFE_HAS(ops, create) ? create_key(o, provider, key) : lacks(provider, "create");
    case ROTATE:
        return KFE_HAS(ops, rotate) ? rotate_key(provider, key) : lacks(provider, "rotate");
    case RETIRE:
        return KFE_HAS(ops, set_state) ? set_state(provider, key, KFE_KEY_DECRYPT_ONLY)
                                       : lacks(provider, "retire");
    case PROBE:
        return KFE_HAS(ops, probe) ? kfe_cmd_keys_probe(provider) : lacks(provider, "probe");
    case IMPORT:
        return kfe_cmd_keys_import(o, provider, key->name);
    case EXPORT:
        return kfe_cmd_keys_export(o, provider, &(kfe_key_ref){key->name, key->version});
    case DESTROY:
        break;
    case N_ACTIONS:
        return KFE_E_ARGUMENT;
    }
    if (!KFE_HAS(ops, set_state))
        return lacks(provider, "destroy");
    kfe_error err = confirm_destroy(o, key);
    return err ? err : set_state(provider, key, KFE_KEY_DESTROYED);
}

static kfe_error run_action(const kfe_cmd_options *o, action what)
{
    key_argument key = {0};
    if ((what == LIST || what == PROBE) && o->n_args > 1)
        return kfe_fail(KFE_E_ARGUMENT, "kfe keys %s takes no argument", action_names[what]);
    if (what != LIST && what != PROBE) {
        kfe_error err = read_key(o, what == RETIRE || what == DESTROY || what == EXPORT, &key);
        if (err)
            return err;
    }
    kfe_key_provider *provider = NULL;
    kfe_error err = kfe_key_provider_open(&provider, o->config);
    if (err)
        return err;
    err = act(o, provider, what, &key);
    kfe_key_provider_close(provider);
    return err;
}

static int run(kfe_cmd_options *o)
{
    for (int i = 0; o->n_args > 0 && i < N_ACTIONS; i++) {
        if (strcmp(o->args[0], action_names[i]) != 0)
            continue;
        kfe_error err = run_action(o, (action)i);
        return err ? kfe_cmd_say_error(err) : KFE_EXIT_OK;
    }
    kfe_cmd_say("kfe keys wants one of create, list, rotate, retire, destroy, probe, import, "
                "export-wrapped");
    return KFE_EXIT_FAILED;
}

static const char help[] =
    "Usage: kfe keys list                  -F FILE\n"
    "       kfe keys create  NAME          -F FILE [--kind KIND]\n"
    "       kfe keys rotate  NAME          -F FILE\n"
    "       kfe keys retire  NAME@VERSION  -F FILE\n"
    "       kfe keys destroy NAME@VERSION  -F FILE [--yes]\n"
    "       kfe keys probe                 -F FILE\n"
    "       kfe keys import  NAME KEYFILE  -F FILE [--kek KEK]\n"
    "       kfe keys export-wrapped NAME@VERSION --kek KEK -F FILE\n"
    "\n"
    "Manages the keys of the KeyProvider that the configuration names.\n"
    "\n"
    "  list      every version of every key, and its state\n"
    "  create    version 1 of a new key\n"
    "  rotate    the next version; producers take it up within\n"
    "            encryption.keyprovider.refresh.ms, older versions go on opening\n"
    "  retire    this version opens, but seals nothing from now on\n"
    "  destroy   this version is gone for good, and with it all that it sealed\n"
    "  probe     what the token can do, line by line; tries it with keys that are gone afterwards\n"
    "  import    the next version, from 32 bytes in KEYFILE; with --kek from 40 bytes in hex,\n"
    "            wrapped (RFC 3394) under that key of the token\n"
    "  export-wrapped  40 bytes in hex on stdout: the key wrapped under KEK, where it may leave\n"
    "\n"
    "  -F, --file FILE       read name=value lines (default: the file that KFE_CONFIG names)\n"
    "  -X, --set NAME=VALUE  set one option; wins over files\n"
    "  -y, --yes             do not ask before destroying\n"
    "  -k, --kind KIND       derived (default): sessions are derived from the new key; wrapped:\n"
    "                        wrapped under it; direct: the token seals every field; rsa: wrapped\n"
    "                        under an RSA key (encryption.keyprovider.pkcs11.allow.rsa)\n"
    "  -K, --kek NAME        label of the AES key in the token that wraps\n"
    "\n"
    "A PIN or passphrase is never an argument: its option holds env:NAME or file:PATH, or it is\n"
    "asked on the terminal.\n";

const kfe_cmd_verb kfe_cmd_keys = {
    "keys", "FXyhkK", "create, list, rotate, retire and destroy keys", help, run,
};
