/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <time.h>

#include "tests/pkcs11/derive_rig.h"

const uint8_t rig_input[5] = {1, 2, 3, 4, 5};

uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void pause_1_ms(void)
{
    nanosleep(&(struct timespec){0, 1000000}, NULL);
}

void rig_make_key(const test_token *h)
{
    kfe_key_provider *p = test_token_open(h);
    assert_int_equal(p->ops->create(p, "k"), KFE_OK);
    p->ops->free(p);
}

void rig_open(struct rig *rig, const kfe_config *config)
{
    const kfe_key_ref ref = {"k", 1};
    rig->config = NULL;
    kfe_error err = kfe_pkcs11.open(&rig->p, config);
    if (err)
        fail_msg("open: %s: %s", kfe_error_name(err), kfe_error_detail());
    assert_int_equal(rig->p->ops->get_key(rig->p, &ref, &rig->key), KFE_OK);
    assert_int_equal(rig->key->ops->derive(rig->key, rig_input, sizeof(rig_input), rig->good),
                     KFE_OK);
}

void rig_init(struct rig *rig, const test_token *h)
{
    rig_make_key(h);
    rig_open(rig, h->config);
    h->shim->reset();
}

void rig_wipe(struct rig *rig)
{
    rig->key->ops->release(rig->key);
    rig->p->ops->free(rig->p);
    kfe_config_free(rig->config);
}

kfe_error rig_derive(struct rig *rig)
{
    static const uint8_t zero[32];
    uint8_t out[32];
    memset(out, 0xee, sizeof(out));
    kfe_error err = rig->key->ops->derive(rig->key, rig_input, sizeof(rig_input), out);
    assert_memory_equal(out, err ? zero : rig->good, 32);
    return err;
}

kfe_error rig_derive_again(struct rig *rig)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    kfe_error err = rig_derive(rig);
    while (err == KFE_E_PROVIDER && now_ms() < until) {
        pause_1_ms();
        err = rig_derive(rig);
    }
    return err;
}

void rig_wait_finalised(const test_token *h)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    while (!test_token_is_finalised(h) && now_ms() < until)
        pause_1_ms();
    assert_true(test_token_is_finalised(h));
}
