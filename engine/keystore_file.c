/* SPDX-License-Identifier: Apache-2.0 */

/* A key store as text. It is read in place and written by hand, not through a JSON tree: a tree
 * would leave copies of the keys in freed memory, above all when the text turns out broken. The
 * text ends with its last bracket, so that every cut makes it malformed. */

#include <stdlib.h>
#include <string.h>

#include "engine/base64.h"
#include "engine/keystore.h"
#include "engine/secret.h"

enum { KEY_LEN = 32, KEY_BASE64 = 44 };

/* ---- Reading ------------------------------------------------------------------------------ */

/* One element of "keys" as it stands. */
typedef struct {
    kfe_json_text name, state, key;
    uint32_t version;
    unsigned seen; /* bit per member */
} entry;

enum { SEEN_NAME = 1, SEEN_VERSION = 2, SEEN_STATE = 4, SEEN_KEY = 8 };

/* False: unknown, or the second of its name. */
static bool entry_member(kfe_json *json, entry *e)
{
    static const char *const names[] = {"name", "version", "state", "key"};
    kfe_json_text name = kfe_json_name(json);
    unsigned i = 0;
    while (i < 4 && !kfe_json_is(name, names[i]))
        i++;
    if (i == 4 || (e->seen >> i & 1) != 0)
        return false;
    e->seen |= 1u << i;
    if (i == 1) {
        e->version = kfe_json_number(json);
        return true;
    }
    kfe_json_text *text = i == 0 ? &e->name : i == 2 ? &e->state : &e->key;
    *text = kfe_json_string(json);
    return true;
}

/* What is wrong with an entry's members, or NULL; *state is set. */
static const char *entry_fault(const entry *e, kfe_key_state *state)
{
    if ((e->seen & (SEEN_NAME | SEEN_VERSION | SEEN_STATE)) !=
        (SEEN_NAME | SEEN_VERSION | SEEN_STATE))
        return "has no name, version or state";
    if (e->version == 0)
        return "has a version that is not 1..4294967295";
    *state = kfe_json_is(e->state, "active")         ? KFE_KEY_ACTIVE
             : kfe_json_is(e->state, "decrypt-only") ? KFE_KEY_DECRYPT_ONLY
             : kfe_json_is(e->state, "destroyed")    ? KFE_KEY_DESTROYED
                                                     : 0;
    if (*state == 0)
        return "has a state other than active, decrypt-only and destroyed";
    if ((*state == KFE_KEY_DESTROYED) == ((e->seen & SEEN_KEY) != 0))
        return *state == KFE_KEY_DESTROYED ? "is destroyed and yet there" : "has no \"key\"";
    return NULL;
}

static kfe_error entry_key(const entry *e, kfe_keystore_key *key)
{
    if (key->state == KFE_KEY_DESTROYED)
        return KFE_OK;
    key->master = kfe_master_new();
    if (key->master == NULL)
        return KFE_E_MEMORY; /* the detail tells already */
    size_t made = 0;
    if (kfe_base64_decode(e->key.at, e->key.len, key->master->key, KEY_LEN, &made) &&
        made == KEY_LEN)
        return KFE_OK;
    return kfe_fail(KFE_E_CONFIG, "it is not the base64 of 32 bytes");
}

/* `number`: of the entry in the file, for messages. */
static kfe_error entry_take(const entry *e, size_t number, kfe_keystore *store)
{
    char name[KFE_NAME_MAX + 1];
    kfe_keystore_key key = {.version = e->version};
    const char *fault = entry_fault(e, &key.state);
    if (fault != NULL)
        return kfe_fail(KFE_E_CONFIG, "entry %zu of the key file %s", number, fault);
    if (!kfe_json_copy(e->name, name, sizeof(name)) || kfe_key_name_check(name) != KFE_OK)
        return kfe_fail(KFE_E_CONFIG,
                        "entry %zu of the key file has a name that is not 1..255 bytes of UTF-8 "
                        "without control characters",
                        number);
    kfe_error err = entry_key(e, &key);
    if (err == KFE_E_CONFIG)
        err = kfe_fail(err, "the key in entry %zu of the key file is not the base64 of 32 bytes",
                       number);
    if (err == KFE_OK) {
        key.name = strdup(name);
        err = key.name == NULL ? kfe_fail(KFE_E_MEMORY, "no memory for a key's name")
                               : kfe_keystore_append(store, &key);
    }
    if (err) {
        free(key.name);
        kfe_master_free(key.master);
    }
    return err;
}

static kfe_error read_keys(kfe_json *json, kfe_keystore *store)
{
    bool first = true;
    kfe_json_enter(json, '[');
    for (size_t number = 1; kfe_json_next(json, ']', &first); number++) {
        entry e = {0};
        bool first_member = true, good = true;
        kfe_json_enter(json, '{');
        while (good && kfe_json_next(json, '}', &first_member))
            good = entry_member(json, &e);
        if (json->bad)
            return KFE_OK; /* whoever reads the whole file reports it */
        if (!good)
            return kfe_fail(KFE_E_CONFIG,
                            "entry %zu of the key file has a member that is unknown "
                            "or doubled",
                            number);
        kfe_error err = entry_take(&e, number, store);
        if (err)
            return err;
    }
    return KFE_OK;
}

/* A whole text: keys, or a sealed box, but not both. */
typedef struct {
    kfe_keystore *store;
    kfe_keyseal_box *box; /* NULL: not allowed here */
    unsigned seen;        /* 1 version, 2 keys, 4 box */
} document;

static kfe_error document_member(kfe_json *json, document *d)
{
    kfe_json_text name = kfe_json_name(json);
    unsigned what = kfe_json_is(name, "version")                    ? 1
                    : kfe_json_is(name, "keys")                     ? 2
                    : kfe_json_is(name, "sealed") && d->box != NULL ? 4
                                                                    : 0;
    if (json->bad)
        return KFE_OK;
    if (what == 0 || (d->seen & what) != 0)
        return kfe_fail(KFE_E_CONFIG, "the key file has a member that is unknown or doubled");
    d->seen |= what;
    if (what == 2)
        return read_keys(json, d->store);
    if (what == 4)
        return kfe_keyseal_read(json, d->box);
    uint32_t version = kfe_json_number(json);
    if (!json->bad && version != 1)
        return kfe_fail(KFE_E_CONFIG, "the key file has version %u, this build reads 1", version);
    return KFE_OK;
}

static kfe_error read_document(document *d, const char *text, size_t len)
{
    kfe_json json = kfe_json_begin(text, len);
    bool first = true;
    kfe_json_enter(&json, '{');
    while (kfe_json_next(&json, '}', &first)) {
        kfe_error err = document_member(&json, d);
        if (err)
            return err;
    }
    if (!kfe_json_finish(&json))
        return kfe_fail(KFE_E_CONFIG, "the key file is not JSON, or cut short, at byte %zu",
                        (size_t)(json.at - text));
    if (d->seen != (1 | 2) && d->seen != (1 | 4))
        return kfe_fail(KFE_E_CONFIG, "the key file lacks \"version\" or \"keys\"");
    const kfe_keystore_key *twice = kfe_keystore_sort(d->store);
    if (twice != NULL)
        return kfe_fail(KFE_E_CONFIG, "the key file has %s version %u twice", twice->name,
                        twice->version);
    return KFE_OK;
}

kfe_error kfe_keystore_read(kfe_keystore **out, const char *text, size_t len)
{
    document d = {0};
    kfe_error err = kfe_keystore_new(&d.store);
    if (err == KFE_OK)
        err = read_document(&d, text, len);
    if (err)
        kfe_keystore_free(d.store);
    else
        *out = d.store;
    return err;
}

static kfe_error load_text(const kfe_keystore_place *place, const char *text, size_t len,
                           kfe_keystore **out)
{
    kfe_keyseal_box box;
    document d = {.box = &box};
    char *inner = NULL;
    size_t inner_len = 0;
    kfe_error err = kfe_keystore_new(&d.store);
    if (err)
        return err;
    err = read_document(&d, text, len);
    bool sealed = (d.seen & 4) != 0;
    if (err == KFE_OK && !sealed && kfe_keyseal_wanted(place->config))
        err = kfe_fail(KFE_E_CONFIG, "the key file is not sealed, but "
                                     "encryption.keyprovider.file.passphrase is set: unset it");
    if (err == KFE_OK && sealed)
        err = kfe_keyseal_open(place->seal, place->crypto, place->config, &box, &inner, &inner_len);
    if (err == KFE_OK && sealed) {
        kfe_keystore_free(d.store);
        d.store = NULL;
        err = kfe_keystore_read(&d.store, inner, inner_len);
    }
    kfe_secret_text_free(inner);
    if (err) {
        kfe_keystore_free(d.store);
        return err;
    }
    d.store->sealed = sealed;
    *out = d.store;
    return KFE_OK;
}

kfe_error kfe_keystore_load(const kfe_keystore_place *place, kfe_keystore **out, kfe_keyfile_id *id)
{
    char *text = NULL;
    size_t len = 0;
    kfe_error err = kfe_keyfile_read(place->path, &text, &len, id);
    if (err)
        return err;
    err = load_text(place, text, len, out);
    kfe_secret_text_free(text);
    return err == KFE_E_CONFIG ? kfe_fail(err, "%s (%s)", kfe_error_detail(), place->path) : err;
}

/* ---- Writing ------------------------------------------------------------------------------ */

/* With room for everything, as entry_size() says. */
typedef struct {
    char *at;
} writer;

static void put(writer *w, const char *text)
{
    size_t len = strlen(text);
    memcpy(w->at, text, len);
    w->at += len;
}

/* A name has no control characters: only these two need an escape. */
static void put_name(writer *w, const char *name)
{
    for (; *name != '\0'; name++) {
        if (*name == '"' || *name == '\\')
            *w->at++ = '\\';
        *w->at++ = *name;
    }
}

static void put_number(writer *w, uint32_t number)
{
    char digits[11];
    size_t n = sizeof(digits) - 1;
    digits[n] = '\0';
    do {
        digits[--n] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    put(w, digits + n);
}

static size_t entry_size(const kfe_keystore_key *key)
{
    return 128 + 2 * strlen(key->name); /* 71 of frame and numbers, 44 of key */
}

static void put_entry(writer *w, const kfe_keystore_key *key)
{
    put(w, "\n{\"name\":\"");
    put_name(w, key->name);
    put(w, "\",\"version\":");
    put_number(w, key->version);
    put(w, ",\"state\":\"");
    put(w, kfe_key_state_name(key->state));
    put(w, "\"");
    if (key->state != KFE_KEY_DESTROYED) {
        put(w, ",\"key\":\"");
        kfe_base64_encode(key->master->key, KEY_LEN, w->at);
        w->at += KEY_BASE64;
        put(w, "\"");
    }
    put(w, "}");
}

kfe_error kfe_keystore_write(const kfe_keystore *store, char **text, size_t *len)
{
    size_t size = 64;
    for (size_t i = 0; i < store->n; i++)
        size += entry_size(&store->keys[i]);
    char *start = kfe_secret_text(size);
    if (start == NULL)
        return KFE_E_MEMORY;
    writer w = {start};
    put(&w, "{\"version\":1,\"keys\":[");
    for (size_t i = 0; i < store->n; i++) {
        put(&w, i == 0 ? "" : ",");
        put_entry(&w, &store->keys[i]);
    }
    put(&w, "]}");
    *text = start;
    *len = (size_t)(w.at - start);
    return KFE_OK;
}

kfe_error kfe_keystore_save(const kfe_keystore_place *place, const kfe_keystore *store)
{
    char *text = NULL, *sealed = NULL;
    size_t len = 0, sealed_len = 0;
    kfe_error err = kfe_keystore_write(store, &text, &len);
    if (err)
        return err;
    if (store->sealed)
        err = kfe_keyseal_close(place->seal, place->crypto, place->config,
                                (kfe_json_text){text, len}, &sealed, &sealed_len);
    if (err == KFE_OK)
        err = store->sealed ? kfe_keyfile_replace(place->path, sealed, sealed_len)
                            : kfe_keyfile_replace(place->path, text, len);
    kfe_secret_text_free(text);
    kfe_secret_text_free(sealed);
    return err;
}
