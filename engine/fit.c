/* SPDX-License-Identifier: Apache-2.0 */
/* Does a record have the form of one for which everything was decided already? Whatever was checked
 * of that one, and is not compared here, is checked here. */
#include "engine/plan.h"

/* Names are short, and a call of memcmp() costs more than they do. */
static inline bool equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    uint64_t a8[2], b8[2];
    uint32_t a4[2], b4[2];
    if (len >= 8 && len <= 16) {
        memcpy(&a8[0], a, 8), memcpy(&a8[1], a + len - 8, 8);
        memcpy(&b8[0], b, 8), memcpy(&b8[1], b + len - 8, 8);
        return ((a8[0] ^ b8[0]) | (a8[1] ^ b8[1])) == 0;
    }
    if (len >= 4 && len < 8) {
        memcpy(&a4[0], a, 4), memcpy(&a4[1], a + len - 4, 4);
        memcpy(&b4[0], b, 4), memcpy(&b4[1], b + len - 4, 4);
        return ((a4[0] ^ b4[0]) | (a4[1] ^ b4[1])) == 0;
    }
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

static bool same_headers(const kfe_plan *plan, const kfe_header *headers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!same_name(headers[i].name, plan->names[i]) ||
            !fits(headers[i].value, plan->has[i], KFE_LEN_MAX))
            return false;
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
    for (size_t i = 0; i < in->n_headers; i++)
        if (in->headers[i].key_ref != NULL)
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
            h->value.len != group->meta_len + group->n_tags * KFE_TAG_LEN ||
            memcmp(h->value.data, plan->p + group->meta_at, group->meta_len - KFE_COUNTER_LEN) !=
                0) /* public */
            return false;
    }
    return same_headers(plan, in->headers + plan->n_groups, in->n_headers - plan->n_groups);
}
