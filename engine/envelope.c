/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/envelope.h"

#include "engine/wire.h"

/* Bits of the states byte. */
enum { KEY_MASK = 3, VALUE_SHIFT = 2, RECORD_BIT = 16, COMMIT_BIT = 32, KIND_SHIFT = 6 };

static const struct {
    uint8_t id;
    const char *name;
} suites[] = {{KFE_A256GCM, "A256GCM"}, {KFE_A128GCM, "A128GCM"}, {KFE_C20P1305, "C20P1305"}};

const char *kfe_suite_name(unsigned suite)
{
    for (size_t i = 0; i < sizeof(suites) / sizeof(*suites); i++)
        if (suites[i].id == suite)
            return suites[i].name;
    return NULL;
}

uint8_t kfe_suite_of_name(kfe_bytes name)
{
    for (size_t i = 0; i < sizeof(suites) / sizeof(*suites); i++)
        if (strlen(suites[i].name) == name.len && memcmp(suites[i].name, name.data, name.len) == 0)
            return suites[i].id;
    return 0;
}

/* Length of the UTF-8 sequence at `s` (RFC 3629: shortest form, no surrogates), 0 if it is none. */
static size_t utf8_len(const uint8_t *s, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    if (n < 2 || n > len)
        return n == 1 ? 1 : 0;
    uint32_t code = s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (s[i] >> 6 != 2)
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    return code < least[n] || code > 0x10ffff || code >> 11 == 0x1b ? 0 : n;
}

bool kfe_key_name_ok(kfe_bytes name)
{
    if (name.data == NULL || name.len == 0 || name.len > KFE_NAME_MAX)
        return false;
    for (size_t i = 0, n; i < name.len; i += n) {
        n = utf8_len(name.data + i, name.len - i);
        if (n == 0 || name.data[i] < 0x20 || name.data[i] == 0x7f)
            return false;
    }
    return true;
}

uint32_t kfe_envelope_fields(const kfe_envelope *e)
{
    uint32_t n = (e->key == KFE_KEY_SEALED ? 1u : 0u) + (e->value != KFE_VALUE_UNCOVERED ? 1u : 0u);
    for (uint32_t i = 0; i < (e->n_headers + 7) / 8; i++)
        n += (uint32_t)__builtin_popcount(e->map[i]);
    return n;
}

static kfe_error malformed(const char *what)
{
    return kfe_fail(KFE_E_AUTH, "malformed envelope: %s", what);
}

static kfe_error read_states(kfe_reader *r, kfe_envelope *e, bool *committed)
{
    e->suite = kfe_read_u8(r);
    uint8_t states = kfe_read_u8(r), group = kfe_read_u8(r);
    if (r->bad)
        return malformed("cut short");
    if (kfe_suite_name(e->suite) == NULL)
        return malformed("unknown suite");
    unsigned value = states >> VALUE_SHIFT & 3, kind = states >> KIND_SHIFT;
    if (value > KFE_VALUE_NULL)
        return malformed("unknown value state");
    if (kind > KFE_DIRECT)
        return malformed("unknown session kind");
    e->key = (kfe_key_cover)(states & KEY_MASK);
    e->value = (kfe_value_cover)value;
    e->kind = (kfe_session_kind)kind;
    e->record_scope = (states & RECORD_BIT) != 0;
    *committed = (states & COMMIT_BIT) != 0;
    e->group = group >> 4;
    e->n_groups = (group & 15u) + 1;
    if (e->group >= e->n_groups)
        return malformed("group out of range");
    if (e->kind == KFE_DIRECT &&
        (*committed || e->suite == KFE_C20P1305 || e->key == KFE_KEY_DETERMINISTIC))
        return malformed("not possible in the direct mode");
    return KFE_OK;
}

static kfe_error read_map(kfe_reader *r, kfe_envelope *e)
{
    e->n_headers = kfe_read_varint(r);
    if (r->bad || e->n_headers > KFE_HEADERS_MAX)
        return malformed("header count");
    e->map = kfe_read_bytes(r, (e->n_headers + 7) / 8);
    if (r->bad)
        return malformed("cut short in the header map");
    if (e->n_headers % 8 != 0 && e->map[e->n_headers / 8] >> (e->n_headers % 8) != 0)
        return malformed("padding bits of the header map are set");
    return KFE_OK;
}

/* With `own` given, length 0 stands for it, and spelling it out is refused. */
static kfe_error read_ref(kfe_reader *r, const kfe_bytes *own, kfe_bytes *name, uint32_t *version)
{
    uint32_t len = kfe_read_varint(r);
    if (r->bad || len > KFE_NAME_MAX)
        return malformed("length of a key name");
    *name = (kfe_bytes){kfe_read_bytes(r, len), len};
    *version = kfe_read_varint(r);
    if (r->bad || *version == 0)
        return malformed("key reference");
    if (own != NULL && len == 0) {
        *name = *own;
        return KFE_OK;
    }
    if (!kfe_key_name_ok(*name))
        return malformed("key name");
    if (own != NULL && own->len == len && memcmp(own->data, name->data, len) == 0)
        return malformed("deterministic reference spells out the group's own name");
    return KFE_OK;
}

/* Form 1: RFC 3394; 2: AES-GCM with its IV; 3: RSA-OAEP under 2048 to 4096 bits. */
bool kfe_wrapped_ok(kfe_bytes wrapped)
{
    switch (wrapped.data[0]) {
    case 1:
        return wrapped.len == 1 + 40;
    case 2:
        return wrapped.len == 1 + 12 + 32 + 16;
    case 3:
        return wrapped.len >= 1 + 256 && wrapped.len <= 1 + 512;
    default:
        return false;
    }
}

static kfe_error read_session(kfe_reader *r, kfe_envelope *e)
{
    uint32_t len = e->kind == KFE_WRAPPED ? kfe_read_varint(r) : KFE_SALT_LEN;
    e->session = (kfe_bytes){kfe_read_bytes(r, len), len};
    if (!r->bad && e->kind == KFE_WRAPPED && (len == 0 || !kfe_wrapped_ok(e->session)))
        return malformed("wrapped session secret");
    if (e->kind == KFE_DIRECT) {
        e->iv_len = kfe_read_u8(r);
        if (!r->bad && (e->iv_len < 12 || e->iv_len > 16))
            return malformed("IV length");
    }
    return r->bad ? malformed("cut short in the session") : KFE_OK;
}

static kfe_error read_tags(kfe_reader *r, kfe_envelope *e)
{
    uint32_t fields = kfe_envelope_fields(e);
    e->n_tags = e->record_scope || fields == 0 ? 1 : fields;
    e->tags = kfe_read_bytes(r, (size_t)e->n_tags * kfe_tag_room(e));
    if (r->bad)
        return malformed("tags are missing");
    return r->at == r->end ? KFE_OK : malformed("trailing bytes");
}

kfe_error kfe_envelope_read(kfe_bytes header, kfe_envelope *out)
{
    if (header.data == NULL)
        return malformed("null");
    kfe_reader r = {header.data, header.data + header.len, false};
    kfe_envelope e = {0};
    bool committed = false;
    uint8_t format = kfe_read_u8(&r);
    if (r.bad || format != KFE_FORMAT)
        return malformed("unknown format version");
    kfe_error err = read_states(&r, &e, &committed);
    if (!err)
        err = read_map(&r, &e);
    if (!err)
        err = read_ref(&r, NULL, &e.name, &e.version);
    if (!err && e.key == KFE_KEY_DETERMINISTIC)
        err = read_ref(&r, &e.name, &e.det_name, &e.det_version);
    if (!err)
        err = read_session(&r, &e);
    if (err)
        return err;
    if (committed)
        e.commitment = kfe_read_bytes(&r, KFE_COMMIT_LEN);
    const uint8_t *counter = kfe_read_bytes(&r, 6);
    if (r.bad)
        return malformed("cut short");
    for (int i = 0; i < 6; i++)
        e.counter = e.counter << 8 | counter[i];
    e.metadata = (kfe_bytes){header.data, (size_t)(r.at - header.data)};
    err = read_tags(&r, &e);
    if (!err)
        *out = e;
    return err;
}

uint8_t *kfe_envelope_write(uint8_t *at, const kfe_envelope *e)
{
    *at++ = KFE_FORMAT;
    *at++ = e->suite;
    *at++ = (uint8_t)((unsigned)e->key | (unsigned)e->value << VALUE_SHIFT |
                      (e->record_scope ? RECORD_BIT : 0u) |
                      (e->commitment != NULL ? COMMIT_BIT : 0u) | (unsigned)e->kind << KIND_SHIFT);
    *at++ = (uint8_t)(e->group << 4 | (e->n_groups - 1));
    at = kfe_put_varint(at, e->n_headers);
    at = kfe_put(at, e->map, (e->n_headers + 7) / 8);
    at = kfe_put_varint(at, (uint32_t)e->name.len);
    at = kfe_put(at, e->name.data, e->name.len);
    at = kfe_put_varint(at, e->version);
    if (e->key == KFE_KEY_DETERMINISTIC) {
        bool own = e->det_name.len == e->name.len &&
                   memcmp(e->det_name.data, e->name.data, e->name.len) == 0;
        size_t len = own ? 0 : e->det_name.len;
        at = kfe_put_varint(at, (uint32_t)len);
        at = kfe_put(at, e->det_name.data, len);
        at = kfe_put_varint(at, e->det_version);
    }
    if (e->kind == KFE_WRAPPED)
        at = kfe_put_varint(at, (uint32_t)e->session.len);
    at = kfe_put(at, e->session.data, e->session.len);
    if (e->kind == KFE_DIRECT)
        *at++ = (uint8_t)e->iv_len;
    if (e->commitment != NULL)
        at = kfe_put(at, e->commitment, KFE_COMMIT_LEN);
    return kfe_put_u48(at, e->counter);
}
