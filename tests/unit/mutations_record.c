/* SPDX-License-Identifier: Apache-2.0 */
/* Mutations of what a record is made of: envelopes as a whole, headers, key, value, topic. */
#include <string.h>

#include "tests/unit/mutations.h"

/* ---- Whole headers --------------------------------------------------------------------------- */

/* With nothing but equal fields under the only group, its envelope makes `a` the honest record `b`
 * again, but for what stays in clear: a replay. */
static bool covers_the_same(const kfe_record *a, const kfe_record *b, const kfe_envelope *e)
{
    if (e->n_groups != 1 || a->n_headers != b->n_headers || !kit_same_bytes(a->key, b->key) ||
        !kit_same_bytes(a->value, b->value))
        return false;
    for (uint32_t i = 0; i < e->n_headers; i++)
        if (kfe_covers_header(e, i) &&
            (!kit_same_bytes(a->headers[i + 1].name, b->headers[i + 1].name) ||
             !kit_same_bytes(a->headers[i + 1].value, b->headers[i + 1].value)))
            return false;
    return true;
}

static bool splice_group(mutation *m)
{
    if (m->other->n_headers <= m->group || !kfe_is_envelope(m->other->headers[m->group].name))
        return false;
    mut_replace(mut_envelope(m), m->other->headers[m->group].value);
    kfe_envelope e;
    assert_int_equal(kfe_envelope_read(*mut_envelope(m), &e), KFE_OK);
    if (e.value == KFE_VALUE_UNCOVERED && m->env.value != KFE_VALUE_UNCOVERED &&
        e.n_groups == m->n_groups)
        return false; /* the same group never covers the value here */
    return !covers_the_same(m->r, m->other, &e);
}

static bool drop_group(mutation *m)
{
    mut_remove_header(m->r, m->group);
    if (m->n_groups == 1)
        m->expected = KFE_E_UNENCRYPTED;
    return true;
}

static bool double_group(mutation *m)
{
    mut_insert_header(m->r, m->group, "kfe", "");
    mut_replace(&mut_header(m->r, m->group)->value, m->r->headers[m->group + 1].value);
    return true;
}

static bool move_group_back(mutation *m)
{
    if (m->r->n_headers == m->n_groups)
        return false;
    kfe_header held = m->r->headers[m->group];
    memmove(mut_header(m->r, m->group), &m->r->headers[m->group + 1],
            (m->r->n_headers - m->group - 1) * sizeof(kfe_header));
    *mut_header(m->r, m->r->n_headers - 1) = held;
    return true;
}

static bool swap_groups(mutation *m)
{
    if (m->n_groups < 2)
        return false;
    kfe_bytes held = m->r->headers[0].value;
    mut_header(m->r, 0)->value = m->r->headers[1].value;
    mut_header(m->r, 1)->value = held;
    return true;
}

static bool strip_all(mutation *m)
{
    while (m->r->n_headers > 0 && kfe_is_envelope(m->r->headers[0].name))
        mut_remove_header(m->r, 0);
    m->expected = KFE_E_UNENCRYPTED;
    return true;
}

/* Any covered header of any group: its place in the record. */
static bool covered_header(mutation *m, size_t *at)
{
    for (unsigned try = 0; try < 8 && m->r->n_headers > m->n_groups; try++) {
        uint32_t i = kit_below((uint32_t)(m->r->n_headers - m->n_groups));
        for (unsigned g = 0; g < m->n_groups; g++) {
            kfe_envelope e;
            assert_int_equal(kfe_envelope_read(m->r->headers[g].value, &e), KFE_OK);
            if (kfe_covers_header(&e, i)) {
                *at = m->n_groups + i;
                return true;
            }
        }
    }
    return false;
}

static bool flip_header(mutation *m)
{
    size_t at = 0;
    return covered_header(m, &at) && mut_flip(m->r->headers[at].value);
}

static bool null_header(mutation *m)
{
    size_t at = 0;
    if (!covered_header(m, &at))
        return false;
    kfe_bytes *value = &mut_header(m->r, at)->value;
    mut_replace(value, value->data == NULL ? kit_text("") : (kfe_bytes){NULL, 0});
    return true;
}

static bool rename_header(mutation *m)
{
    size_t at = 0;
    return covered_header(m, &at) && mut_flip(m->r->headers[at].name) &&
           !kfe_is_envelope(m->r->headers[at].name);
}

static bool clear_bears_covered_name(mutation *m)
{
    size_t at = 0;
    if (!covered_header(m, &at))
        return false;
    for (size_t i = m->n_groups; i < m->r->n_headers; i++) {
        bool covered = false;
        for (unsigned g = 0; g < m->n_groups; g++) {
            kfe_envelope e;
            assert_int_equal(kfe_envelope_read(m->r->headers[g].value, &e), KFE_OK);
            covered = covered || kfe_covers_header(&e, (uint32_t)(i - m->n_groups));
        }
        if (!covered) {
            mut_replace(&mut_header(m->r, i)->name, m->r->headers[at].name);
            return true;
        }
    }
    return false;
}

static bool cut_headers(mutation *m)
{
    if (m->r->n_headers == m->n_groups)
        return false;
    mut_remove_header(m->r, m->n_groups + kit_below((uint32_t)(m->r->n_headers - m->n_groups)));
    return true;
}

static bool append_header(mutation *m)
{
    mut_insert_header(m->r, m->r->n_headers, "added", "x");
    return true;
}

static bool insert_header(mutation *m)
{
    mut_insert_header(m->r, m->n_groups + kit_below((uint32_t)(m->r->n_headers - m->n_groups + 1)),
                      "added", "x");
    return true;
}

static bool append_envelope(mutation *m)
{
    mut_insert_header(m->r, m->r->n_headers, "kfe", "x");
    return true;
}

static bool reorder_headers(mutation *m)
{
    size_t at = 0, n = m->r->n_headers;
    if (!covered_header(m, &at))
        return false;
    size_t to = m->n_groups + kit_below((uint32_t)(n - m->n_groups));
    kfe_header a = m->r->headers[at], b = m->r->headers[to];
    if (kit_same_bytes(a.name, b.name) && kit_same_bytes(a.value, b.value))
        return false;
    *mut_header(m->r, at) = b;
    *mut_header(m->r, to) = a;
    return true;
}

/* ---- Key, value, topic ------------------------------------------------------------------------
 */

static bool flip_value(mutation *m)
{
    return mut_flip(m->r->value);
}

static bool flip_key(mutation *m)
{
    return mut_flip(m->r->key);
}

static bool exchange_key(mutation *m)
{
    if (kit_same_bytes(m->r->key, m->other->key))
        return false;
    mut_replace(&m->r->key, m->other->key);
    return true;
}

static bool exchange_value(mutation *m)
{
    if (kit_same_bytes(m->r->value, m->other->value) ||
        (m->r->value.len == 0 && m->other->value.len == 0 && m->r->value.data &&
         m->other->value.data))
        return false;
    mut_replace(&m->r->value, m->other->value);
    return true;
}

static bool swap_key_and_value(mutation *m)
{
    if (kit_same_bytes(m->r->key, m->r->value))
        return false;
    kfe_bytes held = m->r->key;
    m->r->key = m->r->value;
    m->r->value = held;
    return true;
}

static bool null_value(mutation *m)
{
    mut_replace(&m->r->value, m->r->value.data == NULL ? kit_text("") : (kfe_bytes){NULL, 0});
    return true;
}

static bool null_key(mutation *m)
{
    mut_replace(&m->r->key, m->r->key.data == NULL ? kit_text("") : (kfe_bytes){NULL, 0});
    return true;
}

static bool lengthen_value(mutation *m)
{
    if (m->r->value.data == NULL)
        return false;
    mut_splice(&m->r->value, m->r->value.len, 0, "\0", 1);
    return true;
}

static bool shorten_value(mutation *m)
{
    if (m->r->value.len == 0)
        return false;
    mut_splice(&m->r->value, m->r->value.len - 1, 1, NULL, 0);
    return true;
}

static bool other_topic(mutation *m)
{
    mut_replace(&m->r->topic, kit_text("elsewhere"));
    return true;
}

const mutation_class mutations_record[] = {
    {"group spliced from another record", splice_group},
    {"group dropped", drop_group},
    {"group doubled", double_group},
    {"group moved behind the headers", move_group_back},
    {"groups swapped", swap_groups},
    {"envelopes stripped", strip_all},
    {"header bit", flip_header},
    {"header null and empty", null_header},
    {"header renamed", rename_header},
    {"clear header under a covered name", clear_bears_covered_name},
    {"header list cut", cut_headers},
    {"header appended", append_header},
    {"header inserted", insert_header},
    {"envelope appended", append_envelope},
    {"headers reordered", reorder_headers},
    {"value bit", flip_value},
    {"key bit", flip_key},
    {"key exchanged", exchange_key},
    {"value exchanged", exchange_value},
    {"key and value swapped", swap_key_and_value},
    {"value null and empty", null_value},
    {"key null and empty", null_key},
    {"value longer", lengthen_value},
    {"value shorter", shorten_value},
    {"topic", other_topic},
};

const size_t n_mutations_record = sizeof(mutations_record) / sizeof(*mutations_record);
