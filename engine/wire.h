/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_WIRE_H
#define KFE_ENGINE_WIRE_H

/* Bytes of the wire: big-endian integers and minimal unsigned LEB128 varints of up to 32 bits.
 * A reader never passes its end: it turns bad and stays so. A writer trusts its caller, who
 * sized the room. */

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include <kfe/record.h>

typedef struct {
    const uint8_t *at, *end;
    bool bad;
} kfe_reader;

static inline const uint8_t *kfe_read_bytes(kfe_reader *r, size_t len)
{
    if (r->bad || (size_t)(r->end - r->at) < len) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *bytes = r->at;
    r->at += len;
    return bytes;
}

static inline uint8_t kfe_read_u8(kfe_reader *r)
{
    const uint8_t *byte = kfe_read_bytes(r, 1);
    return byte == NULL ? 0 : *byte;
}

static inline uint32_t kfe_read_varint(kfe_reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = kfe_read_u8(r);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if ((byte == 0 && shift > 0) || value > UINT32_MAX)
            r->bad = true; /* not minimal, or too large */
        return r->bad ? 0 : (uint32_t)value;
    }
    r->bad = true;
    return 0;
}

static inline uint64_t kfe_get_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return be64toh(value);
}

static inline uint8_t *kfe_put(uint8_t *at, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(at, bytes, len);
    return at + len;
}

static inline uint8_t *kfe_put_u16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

static inline uint8_t *kfe_put_u32(uint8_t *at, uint32_t value)
{
    return kfe_put_u16(kfe_put_u16(at, value >> 16), value & 0xffff);
}

static inline uint8_t *kfe_put_u48(uint8_t *at, uint64_t value)
{
    return kfe_put_u32(kfe_put_u16(at, (uint32_t)(value >> 32)), (uint32_t)value);
}

static inline uint8_t *kfe_put_varint(uint8_t *at, uint32_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static inline size_t kfe_varint_len(uint32_t value)
{
    size_t len = 1;
    while (value >>= 7)
        len++;
    return len;
}

#endif
