/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of one session, made by a loaded key in one of three ways. */
#include <stdlib.h>
#include <string.h>

#include "engine/direct.h"
#include "engine/secret.h"
#include "engine/state.h"

typedef struct {
    kfe_session *session;
    const kfe_settings *settings;
    kfe_key *key;
    const kfe_session_spec *spec;
    kfe_key_ability can;
    bool sealing;
} making;

static kfe_error derive_aead(const making *m, kfe_key *master, kfe_bytes salt)
{
    kfe_session *session = m->session;
    const kfe_derive_context context = {session->suite, session->name, session->version, salt};
    const kfe_backend *backend = kfe_settings_backend(m->settings, session->suite);
    uint8_t *raw = kfe_secret_alloc(32);
    if (raw == NULL)
        return KFE_E_MEMORY;
    kfe_error err = kfe_derive_data(master, &context, raw);
    if (!err)
        err = kfe_aead_key_new(&session->aead, backend, m->settings->crypto, session->suite, raw);
    kfe_secret_free(raw);
    if (!err && session->committed)
        err = kfe_derive_commitment(master, &context, session->commitment);
    return err;
}

/* The session's salt: the envelope's, or one of its own. */
static kfe_error find_salt(const making *m, kfe_bytes *salt)
{
    *salt = m->spec->wire;
    if (!m->sealing)
        return KFE_OK;
    *salt = (kfe_bytes){m->session->wire, KFE_SALT_LEN};
    m->session->wire_len = KFE_SALT_LEN;
    return kfe_random(m->session->wire, KFE_SALT_LEN);
}

static kfe_error make_derived(const making *m)
{
    kfe_session *session = m->session;
    if (session->suite == 0) {
        session->siv = kfe_secret_alloc(64);
        return session->siv == NULL ? KFE_E_MEMORY
                                    : kfe_derive_deterministic(m->key, session->name,
                                                               session->version, session->siv);
    }
    kfe_bytes salt;
    kfe_error err = find_salt(m, &salt);
    return err ? err : derive_aead(m, m->key, salt);
}

/* ---- Wrapped ----------------------------------------------------------------------------- */

/* A session secret in a master key's place. */
typedef struct {
    kfe_key base;
    const kfe_crypto *crypto;
    const uint8_t *secret;
} secret_key;

static kfe_error secret_derive(kfe_key *self, const uint8_t *context, size_t len, uint8_t out[32])
{
    const secret_key *key = (const secret_key *)self;
    return kfe_hmac_sha256(key->crypto, key->secret, context, len, out);
}

static const kfe_key_ops secret_ops = {.size = sizeof(secret_ops), .derive = secret_derive};

static kfe_error wrap(const making *m, kfe_bytes aad, uint8_t secret[32])
{
    kfe_session *session = m->session;
    kfe_error err = kfe_random(secret, 32);
    if (err)
        return err;
    err = m->key->ops->wrap(m->key, aad, secret, session->wire, &session->wire_len);
    if (err)
        return kfe_provider_fault(err);
    if (session->wire_len > sizeof(session->wire) ||
        !kfe_wrapped_ok((kfe_bytes){session->wire, session->wire_len}))
        return kfe_fail(KFE_E_PROVIDER, "the key provider wrapped into an unknown form");
    return KFE_OK;
}

static kfe_error unwrap(const making *m, kfe_bytes aad, uint8_t secret[32])
{
    kfe_error err = m->key->ops->unwrap(m->key, aad, m->spec->wire, secret);
    if (err == KFE_E_AUTH)
        return kfe_fail(err,
                        "record refused: its session secret does not unwrap under key %s "
                        "version %u",
                        m->spec->name, m->spec->version);
    return err ? kfe_provider_fault(err) : KFE_OK;
}

static kfe_error make_wrapped(const making *m)
{
    static const kfe_bytes no_salt = {(const uint8_t *)"", 0};
    const kfe_derive_context context = {m->spec->suite, m->spec->name, m->spec->version, no_salt};
    uint8_t aad[KFE_WRAP_AAD_MAX];
    const kfe_bytes bound = {aad, kfe_derive_wrap_aad(aad, &context)};
    uint8_t *secret = kfe_secret_alloc(32);
    if (secret == NULL)
        return KFE_E_MEMORY;
    kfe_error err = m->sealing ? wrap(m, bound, secret) : unwrap(m, bound, secret);
    secret_key master = {
        {&secret_ops, m->spec->version, KFE_KEY_ACTIVE}, m->settings->crypto, secret};
    if (!err)
        err = derive_aead(m, &master.base, no_salt);
    kfe_secret_free(secret);
    return err;
}

/* ---- Direct ------------------------------------------------------------------------------ */

static kfe_error refuse_direct(const making *m, const char *what)
{
    return kfe_fail(KFE_E_KEY_DENIED,
                    "key %s version %u seals in its token: %s does not go with it", m->spec->name,
                    m->spec->version, what);
}

static kfe_error check_direct(const making *m)
{
    const uint8_t suite = m->spec->suite;
    if (m->spec->committed)
        return refuse_direct(m, "encryption.commit");
    if (m->sealing && m->settings->keys == KFE_KEYS_DETERMINISTIC)
        return refuse_direct(m, "encryption.encrypt.keys=deterministic");
    if (suite == KFE_C20P1305)
        return refuse_direct(m, "the suite C20P1305");
    if (m->can.key_len != (suite == KFE_A128GCM ? 16 : 32))
        return refuse_direct(m, suite == KFE_A128GCM ? "A128GCM (its length is another)"
                                                     : "A256GCM (its length is another)");
    return KFE_OK;
}

static kfe_error make_direct(const making *m)
{
    kfe_session *session = m->session;
    kfe_bytes salt;
    kfe_error err = check_direct(m);
    session->iv_len = m->spec->iv_len;
    if (!err && m->sealing) {
        err = m->key->ops->iv_size(m->key, &session->iv_len);
        if (err)
            return kfe_provider_fault(err);
        if (session->iv_len < 12 || session->iv_len > KFE_IV_MAX)
            return kfe_fail(KFE_E_PROVIDER, "the key provider makes IVs of %u bytes",
                            session->iv_len);
        err = kfe_tally_of(&session->tally, session->name, session->version);
    }
    if (!err)
        err = find_salt(m, &salt);
    return err ? err : kfe_direct_key_new(&session->aead, m->key, session->iv_len);
}

/* ---- All --------------------------------------------------------------------------------- */

static kfe_key_ability ability_of(kfe_key *key)
{
    kfe_key_ability can = {.size = sizeof(can), .kinds = 1u << KFE_DERIVED};
    if (KFE_HAS(key->ops, ability))
        key->ops->ability(key, &can);
    return can;
}

static bool has_calls(const kfe_key_ops *ops, kfe_session_kind kind, bool sealing)
{
    switch (kind) {
    case KFE_DERIVED:
        return KFE_HAS(ops, derive);
    case KFE_WRAPPED:
        return KFE_HAS(ops, unwrap) && (!sealing || KFE_HAS(ops, wrap));
    default:
        return KFE_HAS(ops, open) && (!sealing || (KFE_HAS(ops, seal) && KFE_HAS(ops, iv_size)));
    }
}

static kfe_error make_keys(making *m)
{
    static const char *const verbs[] = {"derive", "wrap sessions", "seal or open fields itself"};
    kfe_session *session = m->session;
    m->can = ability_of(m->key);
    if (session->suite != 0)
        session->kind = m->sealing ? m->can.sealing : m->spec->kind;
    if (session->kind > KFE_DIRECT || (m->can.kinds >> session->kind & 1) == 0 ||
        !has_calls(m->key->ops, session->kind, m->sealing))
        return kfe_fail(KFE_E_KEY_DENIED,
                        "key %.100s@%u cannot %s: it was made for another kind of session",
                        session->name, session->version,
                        session->kind > KFE_DIRECT ? "be used" : verbs[session->kind]);
    if (m->sealing) {
        session->counter = kfe_counter_new();
        if (session->counter == NULL)
            return KFE_E_MEMORY;
    }
    return session->kind == KFE_DERIVED   ? make_derived(m)
           : session->kind == KFE_WRAPPED ? make_wrapped(m)
                                          : make_direct(m);
}

kfe_error kfe_session_new(kfe_session **out, const kfe_settings *settings, kfe_key *key,
                          const kfe_session_spec *spec)
{
    kfe_session *session = calloc(1, sizeof(*session));
    if (session == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    session->refs = 1;
    memcpy(session->name, spec->name, strlen(spec->name));
    session->version = spec->version;
    session->suite = spec->suite;
    session->committed = spec->committed;
    session->born = kfe_now_ms();
    making m = {.session = session,
                .settings = settings,
                .key = key,
                .spec = spec,
                .sealing = spec->suite != 0 && spec->wire.data == NULL};
    kfe_error err = make_keys(&m);
    if (err)
        kfe_session_free(session);
    else
        *out = session;
    return err;
}

void kfe_session_free(kfe_session *session)
{
    if (session == NULL)
        return;
    kfe_aead_key_free(session->aead);
    kfe_secret_free(session->siv);
    kfe_counter_free(session->counter);
    kfe_wipe(session, sizeof(*session));
    free(session);
}
