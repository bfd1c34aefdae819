/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a `kfe` header. What is read is written again, and must be the same bytes: so there is
 * one spelling of each envelope, and a reader that dropped a bit would be seen. */
#include <stdlib.h>
#include <string.h>

#include "engine/envelope.h"
#include "tests/fuzz/fuzz.h"

/* Every view lies in the header, and the parts fit together. */
static void check(const kfe_envelope *e, kfe_bytes header)
{
    const uint8_t *end = header.data + header.len;
    fuzz_want(e->metadata.data == header.data && e->tags == header.data + e->metadata.len,
              "metadata are not what stands before the tags");
    fuzz_want(e->tags + (size_t)e->n_tags * (KFE_TAG_LEN + e->iv_len) == end,
              "tags do not end with the header");
    fuzz_want(e->n_tags >= 1, "an envelope without a tag");
    fuzz_want(e->n_headers <= KFE_HEADERS_MAX && e->group < e->n_groups &&
                  e->n_groups <= KFE_GROUPS_MAX,
              "a number out of range");
    fuzz_want(kfe_key_name_ok(e->name) && e->version > 0, "a bad key reference");
    fuzz_want(e->key != KFE_KEY_DETERMINISTIC ||
                  (kfe_key_name_ok(e->det_name) && e->det_version > 0),
              "a bad deterministic reference");
    for (uint32_t i = e->n_headers; i % 8 != 0; i++)
        fuzz_want((e->map[i / 8] >> i % 8 & 1) == 0, "a padding bit of the map is set");
    fuzz_want(kfe_suite_name(e->suite) != NULL, "a suite without a name");
    fuzz_want(e->counter < (uint64_t)1 << 48, "a counter of more than 48 bits");
}

static void check_info(kfe_bytes header, const kfe_envelope *e)
{
    kfe_envelope_info info[KFE_GROUPS_MAX];
    size_t n = 0;
    const kfe_header h = {.name = {(const uint8_t *)"kfe", 3}, .value = header};
    const kfe_record record = {.headers = &h, .n_headers = 1};
    kfe_error err = kfe_inspect(&record, info, &n);
    fuzz_want(err == KFE_OK || err == KFE_E_AUTH, "kfe_inspect: an error of its own");
    if (e == NULL || e->n_groups != 1)
        return;
    fuzz_want(err == KFE_OK && n == 1 && info[0].counter == e->counter &&
                  info[0].key_version == e->version && strlen(info[0].key_name) == e->name.len,
              "kfe_inspect tells something else");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t nothing[1];
    kfe_bytes header = {size > 0 ? data : nothing, size};
    kfe_envelope e;
    kfe_error err = kfe_envelope_read(header, &e);
    check_info(header, err ? NULL : &e);
    if (err) {
        fuzz_want(err == KFE_E_AUTH, "an error that is not KFE_E_AUTH");
        return 0;
    }
    check(&e, header);
    if (e.kind != KFE_DERIVED)
        return 0;
    fuzz_want(e.metadata.len <= KFE_META_MAX, "metadata longer than KFE_META_MAX");
    uint8_t *again = malloc(e.metadata.len);
    fuzz_want(again != NULL, "no memory");
    const uint8_t *end = kfe_envelope_write(again, &e);
    fuzz_want((size_t)(end - again) == e.metadata.len &&
                  memcmp(again, e.metadata.data, e.metadata.len) == 0,
              "written again, it has other bytes");
    free(again);
    return 0;
}
