/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/aad.h"

#include "engine/wire.h"

size_t kfe_aad_label_len(kfe_bytes label)
{
    return kfe_varint_len((uint32_t)label.len) + label.len;
}

size_t kfe_aad_key_len(kfe_aad_key key)
{
    if (key.sealed || key.bytes.data == NULL)
        return 1;
    return 1 + kfe_varint_len((uint32_t)key.bytes.len) + key.bytes.len;
}

uint8_t *kfe_aad_put_label(uint8_t *at, kfe_bytes label)
{
    at = kfe_put_varint(at, (uint32_t)label.len);
    return kfe_put(at, label.data, label.len);
}

uint8_t *kfe_aad_put_key(uint8_t *start, uint8_t *at, kfe_aad_key key)
{
    if (key.sealed || key.bytes.data == NULL) {
        *at++ = key.sealed ? 0 : 1;
    } else {
        *at++ = 2;
        at = kfe_put_varint(at, (uint32_t)key.bytes.len);
        at = kfe_put(at, key.bytes.data, key.bytes.len);
    }
    while ((size_t)(at - start) % 16 != 0)
        *at++ = 0;
    return at;
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
