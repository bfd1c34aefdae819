/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kafka/cmd_bytes.h"

/* Length of the sequence that `lead` begins, and the range of its second byte, which is where
 * overlong forms, surrogates and numbers beyond U+10FFFF show. 0: no lead. */
static size_t sequence(uint8_t lead, uint8_t *low, uint8_t *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef) {
        if (lead == 0xe0)
            *low = 0xa0;
        if (lead == 0xed)
            *high = 0x9f;
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (lead == 0xf0)
            *low = 0x90;
        if (lead == 0xf4)
            *high = 0x8f;
        return 4;
    }
    return 0;
}

bool kfe_cmd_is_utf8(const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len;) {
        uint8_t low, high;
        size_t n = sequence(p[i], &low, &high);
        if (n == 0 || n > len - i)
            return false;
        if (n > 1 && (p[i + 1] < low || p[i + 1] > high))
            return false;
        for (size_t j = 2; j < n; j++)
            if (p[i + j] < 0x80 || p[i + j] > 0xbf)
                return false;
        i += n;
    }
    return true;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void kfe_cmd_base64_encode(const uint8_t *in, size_t len, char out[4])
{
    uint32_t bits = (uint32_t)in[0] << 16;
    if (len > 1)
        bits |= (uint32_t)in[1] << 8;
    if (len > 2)
        bits |= in[2];
    out[0] = alphabet[bits >> 18];
    out[1] = alphabet[bits >> 12 & 63];
    out[2] = len > 1 ? alphabet[bits >> 6 & 63] : '=';
    out[3] = len > 2 ? alphabet[bits & 63] : '=';
}

/* Decodes four characters; returns the number of bytes, 0 when they are malformed. */
static size_t decode_quad(const char in[4], uint8_t out[3])
{
    uint32_t bits = 0;
    size_t digits = in[3] != '=' ? 4 : in[2] != '=' ? 3 : 2;
    for (size_t i = 0; i < 4; i++) {
        bits <<= 6;
        if (i >= digits)
            continue;
        const char *at = in[i] == '\0' ? NULL : strchr(alphabet, in[i]);
        if (at == NULL)
            return 0;
        bits |= (uint32_t)(at - alphabet);
    }
    out[0] = (uint8_t)(bits >> 16);
    out[1] = (uint8_t)(bits >> 8);
    out[2] = (uint8_t)bits;
    size_t n = digits - 1;
    /* Bits behind the last byte must be zero. */
    for (size_t i = n; i < 3; i++)
        if (out[i] != 0)
            return 0;
    return n;
}

bool kfe_cmd_base64_decode(char *text, size_t *len)
{
    if (*len % 4 != 0)
        return false;
    size_t done = 0;
    for (size_t i = 0; i < *len; i += 4) {
        uint8_t bytes[3];
        size_t n = decode_quad(text + i, bytes);
        if (n == 0 || (n < 3 && i + 4 < *len))
            return false;
        memcpy(text + done, bytes, n);
        done += n;
    }
    *len = done;
    return true;
}
