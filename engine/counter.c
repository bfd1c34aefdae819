/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/counter.h"

#include "engine/secret.h"

kfe_counter *kfe_counter_new(void)
{
    kfe_counter *counter = kfe_secret_alloc(sizeof(*counter));
    if (counter != NULL)
        atomic_store(&counter->alive, 1);
    return counter;
}

void kfe_counter_free(kfe_counter *counter)
{
    kfe_secret_free(counter);
}

kfe_error kfe_counter_draw(kfe_counter *counter, const kfe_use *use, uint64_t *first)
{
    /* Every draw looks at the page first, and once more before anything is handed out: a signal
     * handler that forks in between would leave the child with values that the parent draws. */
    if (!kfe_counter_alive(counter))
        return kfe_fail(KFE_E_KEY_EXHAUSTED, "the session belongs to another process");
    /* Counted before it is used, so that threads at the limit cannot pass it together. What a
     * refused call counted is lost: it only makes the refusal certain to stay. */
    uint64_t fields = atomic_fetch_add(&counter->fields, use->fields) + use->fields;
    uint64_t blocks = atomic_fetch_add(&counter->blocks, use->blocks) + use->blocks;
    if (fields > KFE_HARD_FIELDS || blocks > KFE_HARD_BLOCKS)
        return kfe_fail(KFE_E_KEY_EXHAUSTED, "the session has reached a hard limit");
    uint64_t drawn = atomic_fetch_add(&counter->next, use->envelopes);
    if (!kfe_counter_alive(counter))
        return kfe_fail(KFE_E_KEY_EXHAUSTED, "the session belongs to another process");
    *first = drawn;
    return KFE_OK;
}

bool kfe_counter_alive(const kfe_counter *counter)
{
    return atomic_load(&counter->alive) == 1;
}

bool kfe_counter_past(const kfe_counter *counter, uint64_t fields, uint64_t bytes)
{
    return atomic_load(&counter->fields) >= fields || atomic_load(&counter->blocks) >= bytes / 16;
}
