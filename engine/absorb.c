/* SPDX-License-Identifier: Apache-2.0 */
/* Records of one plan and one group have the same P but for the counter, and GHASH is linear: each
 * bit of the counter that two of them differ in adds the same sum to the state, whatever the others
 * are. Counters follow each other, so few bits differ from one record to the next, and a few
 * additions take the place of the hash. Which bits differ is public. */
#include "engine/absorb.h"

#include "engine/wire.h"

enum {
    STEP_BITS = 16,  /* counters that differ in others are hashed */
    STEPS_WORTH = 16 /* records */
};

struct kfe_steps {
    uint64_t known;   /* bit b: sum[b] is known */
    uint64_t counter; /* of the last record; before the first one, none that there is */
    uint64_t state[2];
    uint64_t sum[STEP_BITS][2];
};

kfe_error kfe_absorb_begin(kfe_plan *plan, kfe_work *work)
{
    plan->p_done = 0;
    plan->steps = NULL;
    if (plan->uses == 1) /* it hashes all of P in one go */
        return KFE_OK;
    uint8_t(*states)[16] = kfe_work_take(work, plan->n_groups * sizeof(*states));
    if (states == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    plan->p_done = plan->p_fixed;
    for (unsigned g = 0; g < plan->n_groups; g++) {
        kfe_group *group = &plan->groups[g];
        if (group->skipped)
            continue;
        const kfe_aead_key *key = work->in_use[group->in_use].session->aead;
        group->state = &states[g];
        if (key->backend->from_state)
            key->backend->hash(key, states[g], plan->p, plan->p_done / 16);
    }
    if (plan->uses < STEPS_WORTH || plan->n_groups > 1 || plan->p_own)
        return KFE_OK;
    plan->steps = kfe_work_take(work, sizeof(*plan->steps));
    if (plan->steps == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    plan->steps->counter = UINT64_MAX;
    return KFE_OK;
}

static void hash(const kfe_plan *plan, const kfe_group *group, const kfe_aead_key *key,
                 const kfe_absorb_p *p, void *state)
{
    if (plan->p_done > 0)
        memcpy(state, *group->state, sizeof(*group->state));
    else
        memset(state, 0, sizeof(*group->state));
    key->backend->hash(key, state, p->bytes + plan->p_done, (p->len - plan->p_done) / 16);
}

static void hash_with(const kfe_plan *plan, const kfe_group *group, const kfe_aead_key *key,
                      uint64_t counter, uint64_t state[2])
{
    const kfe_absorb_p p = {plan->p, plan->p_len, counter};
    kfe_put_u48(plan->p + group->meta_at + group->meta_len - KFE_COUNTER_LEN, counter);
    hash(plan, group, key, &p, state);
}

/* What changes when bit `b` of the counter does. */
static void learn(const kfe_plan *plan, const kfe_group *group, const kfe_aead_key *key, unsigned b)
{
    struct kfe_steps *s = plan->steps;
    uint64_t *sum = s->sum[b];
    hash_with(plan, group, key, s->counter ^ (uint64_t)1 << b, sum);
    sum[0] ^= s->state[0];
    sum[1] ^= s->state[1];
    s->known |= (uint64_t)1 << b;
}

/* Makes all steps from the last record's counter to another one known, or begins anew there. */
static __attribute__((noinline)) void make_steps(const kfe_plan *plan, const kfe_group *group,
                                                 const kfe_aead_key *key, uint64_t counter)
{
    struct kfe_steps *s = plan->steps;
    uint64_t differ = s->counter ^ counter;
    if (differ >> STEP_BITS != 0) {
        hash_with(plan, group, key, counter, s->state);
        s->counter = counter;
        return;
    }
    for (uint64_t todo = differ & ~s->known; todo != 0; todo &= todo - 1)
        learn(plan, group, key, (unsigned)__builtin_ctzll(todo));
}

void kfe_absorb(const kfe_plan *plan, const kfe_group *group, const kfe_aead_key *key,
                const kfe_absorb_p *p, uint8_t state[16])
{
    struct kfe_steps *s = plan->steps;
    if (s == NULL) {
        hash(plan, group, key, p, state);
        return;
    }
    if (((s->counter ^ p->counter) & ~s->known) != 0)
        make_steps(plan, group, key, p->counter);
    uint64_t words[2] = {s->state[0], s->state[1]};
    for (uint64_t differ = s->counter ^ p->counter; differ != 0; differ &= differ - 1) {
        const uint64_t *sum = s->sum[__builtin_ctzll(differ)];
        words[0] ^= sum[0];
        words[1] ^= sum[1];
    }
    s->counter = p->counter;
    memcpy(s->state, words, sizeof(words));
    memcpy(state, words, sizeof(words));
}
