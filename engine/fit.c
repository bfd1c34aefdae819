/* SPDX-License-Identifier: Apache-2.0 */
/* Does a record have the form of one for which everything was decided already? Whatever was checked
 * of that one, and is not compared here, is checked here. */
#include "engine/plan.h"

static inline uint64_t word(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint32_t half(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

/* Names are short, and a call of memcmp() costs more than they do. Public bytes. */
static inline bool equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    if (len - 4 < 4) /* 4 to 7 */
        return half(a) == half(b) && half(a + len - 4) == half(b + len - 4);
    if (len - 8 <= 8) /* 8 to 16 */
        return word(a) == word(b) && word(a + len - 8) == word(b + len - 8);
    return len == 0 || memcmp(a, b, len) == 0; /* public */
}

/* `has`: it must not be null. */
static inline bool fits(kfe_bytes bytes, bool has, size_t max)
{
    return has ? bytes.data != NULL && bytes.len <= max : bytes.data == NULL && bytes.len == 0;
}

static inline bool same_name(kfe_bytes name, kfe_bytes kept)
{
    return name.len == kept.len && name.data != NULL && equal(name.data, kept.data, kept.len);
}

/* Nor does any of them name its own key. Where the last record that fitted has a name in the very
 * same memory it was compared already: nobody changes it during the call. */
static bool same_headers(const kfe_plan *plan, const kfe_header *headers, size_t n)
{
    const bool compare = plan->last == NULL;
    const kfe_header *last = compare ? headers : plan->last;
    const kfe_form *form = plan->form;
    for (const kfe_header *h = headers; n > 0; n--, h++, last++, form++) {
        if ((h->value.data != NULL) != form->has || h->value.len > form->most || h->key_ref != NULL)
            return false;
        if ((compare || h->name.data != last->name.data || h->name.len != last->name.len) &&
            !same_name(h->name, form->name))
            return false;
    }
    return true;
}

static bool same_ref(const kfe_key_ref *given, const kfe_key_ref *kept)
{
    if (given == NULL || kept->name == NULL)
        return given == NULL && kept->name == NULL;
    return given->name != NULL && given->version == kept->version &&
           strcmp(given->name, kept->name) == 0;
}

bool kfe_fits_sealing(const kfe_plan *plan, const kfe_record *in)
{
    if (plan->once || in->n_headers != plan->in_headers || !same_name(in->topic, plan->topic) ||
        !fits(in->key, plan->has_key, KFE_LEN_MAX - KFE_SIV_GROWTH) ||
        !fits(in->value, plan->has_value, KFE_LEN_MAX) || !same_ref(in->key_ref, &plan->key_ref) ||
        (in->headers == NULL && in->n_headers > 0))
        return false;
    return same_headers(plan, in->headers, in->n_headers);
}

bool kfe_fits_opening(const kfe_plan *plan, const kfe_record *in)
{
    if (plan->once || in->n_headers != plan->in_headers || in->headers == NULL ||
        !same_name(in->topic, plan->topic) || !fits(in->key, plan->has_key, KFE_LEN_MAX) ||
        !fits(in->value, plan->has_value, KFE_LEN_MAX) ||
        (plan->det != 0 && in->key.len < KFE_SIV_GROWTH))
        return false;
    for (unsigned g = 0; g < plan->n_groups; g++) {
        const kfe_group *group = &plan->groups[g];
        const kfe_header *h = &in->headers[g];
        if (h->name.data == NULL || !kfe_is_envelope(h->name) || h->value.data == NULL ||
            h->value.len != group->meta_len + group->n_tags * kfe_tag_room(&group->env) ||
            memcmp(h->value.data, plan->p + group->meta_at, group->meta_len - KFE_COUNTER_LEN) !=
                0) /* public */
            return false;
    }
    return same_headers(plan, in->headers + plan->n_groups, in->n_headers - plan->n_groups);
}
