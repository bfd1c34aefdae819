/* SPDX-License-Identifier: Apache-2.0 */
/* Mutations of the bytes of one envelope. */
#include <string.h>

#include "tests/unit/mutations.h"

static size_t name_at(const mutation *m)
{
    return (size_t)(m->env.name.data - m->r->headers[m->group].value.data);
}

static bool cut_envelope(mutation *m)
{
    mut_envelope(m)->len = kit_below((uint32_t)mut_envelope(m)->len);
    return true;
}

static bool extend_envelope(mutation *m)
{
    mut_splice(mut_envelope(m), mut_envelope(m)->len, 0, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
               1 + kit_below(16));
    return true;
}

static bool null_envelope(mutation *m)
{
    mut_replace(mut_envelope(m), (kfe_bytes){NULL, 0});
    return true;
}

static bool unknown_format(mutation *m)
{
    mut_bytes(*mut_envelope(m))[0] = (uint8_t)(2 + kit_below(254));
    return true;
}

static bool unknown_suite(mutation *m)
{
    static const uint8_t bad[] = {0, 4, 5, 127, 255};
    mut_bytes(*mut_envelope(m))[1] = bad[kit_below(sizeof(bad))];
    return true;
}

static bool other_suite(mutation *m)
{
    uint8_t *suite = &mut_bytes(*mut_envelope(m))[1];
    *suite = (uint8_t)(1 + (*suite + kit_below(2)) % 3);
    return true;
}

static bool flip_state(mutation *m)
{
    uint8_t *states = &mut_bytes(*mut_envelope(m))[2];
    unsigned bit = kit_below(6); /* the kind has its own class */
    *states ^= (uint8_t)(1u << bit);
    /* A record whose value is no longer said to be covered may be refused for that. */
    bool now_uncovered = (*states >> 2 & 3) == 0 && m->env.value != KFE_VALUE_UNCOVERED;
    kfe_envelope e;
    if (now_uncovered && kfe_envelope_read(*mut_envelope(m), &e) == KFE_OK)
        m->expected = KFE_E_UNENCRYPTED;
    return true;
}

static bool other_kind(mutation *m)
{
    kfe_envelope e;
    mut_bytes(*mut_envelope(m))[2] ^= (uint8_t)((1 + kit_below(3)) << 6);
    if (kfe_envelope_read(*mut_envelope(m), &e) == KFE_OK)
        m->expected = KFE_E_KEY_DENIED;
    return true;
}

static bool group_byte(mutation *m)
{
    mut_bytes(*mut_envelope(m))[3] ^= (uint8_t)(1 + kit_below(255));
    return true;
}

static bool map_bit(mutation *m)
{
    if (m->env.n_headers == 0)
        return false;
    uint32_t bit = kit_below(m->env.n_headers);
    mut_bytes(*mut_envelope(m))[5 + bit / 8] ^= (uint8_t)(1u << bit % 8);
    return true;
}

static bool padding_bit(mutation *m)
{
    uint32_t n = m->env.n_headers;
    if (n % 8 == 0)
        return false;
    mut_bytes(*mut_envelope(m))[5 + n / 8] |= (uint8_t)(1u << (n % 8 + kit_below(8 - n % 8)));
    return true;
}

static bool long_varint(mutation *m)
{
    uint8_t two[2] = {(uint8_t)(mut_envelope(m)->data[4] | 0x80), 0};
    mut_splice(mut_envelope(m), 4, 1, two, 2);
    return true;
}

static bool unknown_key(mutation *m)
{
    size_t at = name_at(m);
    memset(mut_bytes(*mut_envelope(m)) + at, 'z', m->env.name.len);
    m->expected = KFE_E_KEY_UNKNOWN;
    return true;
}

static bool bad_key_name(mutation *m)
{
    static const uint8_t bad[] = {0, '\n', 0x7f, 0x80, 0xff, 0xc0};
    mut_bytes(*mut_envelope(m))[name_at(m)] = bad[kit_below(sizeof(bad))];
    return true;
}

/* Version 1 and 2 of every key exist; 3 does not. */
static bool other_version(mutation *m)
{
    uint8_t *version = mut_bytes(*mut_envelope(m)) + name_at(m) + m->env.name.len;
    uint8_t to = (uint8_t)kit_below(4);
    if (to == *version)
        return false;
    *version = to;
    m->expected = to == 3 ? KFE_E_KEY_UNKNOWN : KFE_E_AUTH;
    return true;
}

static bool flip_salt(mutation *m)
{
    return mut_flip(m->env.session);
}

static bool flip_counter(mutation *m)
{
    return mut_flip((kfe_bytes){m->env.tags - 6, 6});
}

static bool flip_commitment(mutation *m)
{
    return m->env.commitment != NULL && mut_flip((kfe_bytes){m->env.commitment, KFE_COMMIT_LEN});
}

static bool drop_commitment(mutation *m)
{
    if (m->env.commitment == NULL)
        return false;
    size_t at = (size_t)(m->env.commitment - mut_envelope(m)->data);
    mut_bytes(*mut_envelope(m))[2] &= (uint8_t)~32u;
    mut_splice(mut_envelope(m), at, KFE_COMMIT_LEN, NULL, 0);
    return true;
}

static bool flip_tag(mutation *m)
{
    return mut_flip((kfe_bytes){m->env.tags, (size_t)m->env.n_tags * KFE_TAG_LEN});
}

static bool no_tags(mutation *m)
{
    mut_envelope(m)->len = m->env.metadata.len;
    return true;
}

static bool swap_tags(mutation *m)
{
    if (m->env.n_tags < 2)
        return false;
    uint8_t held[KFE_TAG_LEN], *tags = mut_bytes((kfe_bytes){m->env.tags, 0});
    memcpy(held, tags, KFE_TAG_LEN);
    memcpy(tags, tags + KFE_TAG_LEN, KFE_TAG_LEN);
    memcpy(tags + KFE_TAG_LEN, held, KFE_TAG_LEN);
    return true;
}

const mutation_class mutations_envelope[] = {
    {"envelope cut", cut_envelope},
    {"envelope extended", extend_envelope},
    {"envelope null", null_envelope},
    {"format unknown", unknown_format},
    {"suite unknown", unknown_suite},
    {"suite exchanged", other_suite},
    {"state bit", flip_state},
    {"session kind", other_kind},
    {"group byte", group_byte},
    {"header map bit", map_bit},
    {"padding bit", padding_bit},
    {"varint not minimal", long_varint},
    {"key unknown", unknown_key},
    {"key name malformed", bad_key_name},
    {"key version", other_version},
    {"salt", flip_salt},
    {"counter", flip_counter},
    {"commitment", flip_commitment},
    {"commitment dropped", drop_commitment},
    {"tag bit", flip_tag},
    {"tags missing", no_tags},
    {"tags swapped", swap_tags},
};

const size_t n_mutations_envelope = sizeof(mutations_envelope) / sizeof(*mutations_envelope);
