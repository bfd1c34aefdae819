/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/aad.h"

#include "engine/wire.h"

size_t kfe_aad_prefix_len(size_t meta, size_t label, kfe_aad_key key)
{
    size_t len = meta + kfe_varint_len((uint32_t)label) + label + 1;
    if (!key.sealed && key.bytes.data != NULL)
        len += kfe_varint_len((uint32_t)key.bytes.len) + key.bytes.len;
    return (len + 15) & ~(size_t)15;
}

void kfe_aad_prefix_end(uint8_t *start, uint8_t *at, kfe_bytes label, kfe_aad_key key)
{
    at = kfe_put_varint(at, (uint32_t)label.len);
    at = kfe_put(at, label.data, label.len);
    if (key.sealed || key.bytes.data == NULL) {
        *at++ = key.sealed ? 0 : 1;
    } else {
        *at++ = 2;
        at = kfe_put_varint(at, (uint32_t)key.bytes.len);
        at = kfe_put(at, key.bytes.data, key.bytes.len);
    }
    while ((size_t)(at - start) % 16 != 0)
        *at++ = 0;
}

uint8_t *kfe_aad_field(uint8_t *at, uint8_t kind, uint16_t ordinal, kfe_bytes name)
{
    *at++ = kind;
    at = kfe_put_u16(at, ordinal);
    at = kfe_put_varint(at, (uint32_t)name.len);
    return kfe_put(at, name.data, name.len);
}

uint8_t *kfe_aad_record_head(uint8_t *at, uint32_t count)
{
    *at++ = KFE_D_RECORD;
    return kfe_put_varint(at, count);
}

uint8_t *kfe_aad_record_part(uint8_t *at, uint8_t kind, uint16_t ordinal, uint32_t len,
                             kfe_bytes name)
{
    *at++ = kind;
    at = kfe_put_u16(at, ordinal);
    at = kfe_put_varint(at, len);
    at = kfe_put_varint(at, (uint32_t)name.len);
    return kfe_put(at, name.data, name.len);
}

void kfe_nonce(uint8_t out[12], uint64_t counter, uint16_t ordinal)
{
    kfe_put_u16(kfe_put_u48(kfe_put_u32(out, 0), counter), ordinal);
}
