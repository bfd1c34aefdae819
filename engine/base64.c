/* SPDX-License-Identifier: Apache-2.0 */
#include <kfe/config.h>

#include "engine/base64.h"

/* All ones when from <= c <= to, else zero; for values below 2^15. */
static int within(int c, int from, int to)
{
    return ((from - 1 - c) & (c - to - 1)) >> 15;
}

static char letter(int six)
{
    return (char)((within(six, 0, 25) & ('A' + six)) | (within(six, 26, 51) & ('a' + six - 26)) |
                  (within(six, 52, 61) & ('0' + six - 52)) | (within(six, 62, 62) & '+') |
                  (within(six, 63, 63) & '/'));
}

/* The six bits of a letter, or -1. */
static int value(char symbol)
{
    int c = (unsigned char)symbol;
    int v = (within(c, 'A', 'Z') & (c - 'A' + 1)) | (within(c, 'a', 'z') & (c - 'a' + 27)) |
            (within(c, '0', '9') & (c - '0' + 53)) | (within(c, '+', '+') & 63) |
            (within(c, '/', '/') & 64);
    return v - 1;
}

size_t kfe_base64_size(size_t len)
{
    return (len + 2) / 3 * 4;
}

void kfe_base64_encode(const uint8_t *in, size_t len, char *out)
{
    for (; len > 0; in += 3, out += 4) {
        size_t n = len < 3 ? len : 3;
        int word = in[0] << 16 | (n > 1 ? in[1] << 8 : 0) | (n > 2 ? in[2] : 0);
        for (int i = 0; i < 4; i++)
            out[i] = letter(word >> (18 - 6 * i) & 63);
        for (size_t i = n + 1; i < 4; i++)
            out[i] = '=';
        len -= n;
    }
}

/* Four letters to n bytes; the sign of the result tells a letter that is none, or unused bits
 * that are not zero. */
static int quad(const char *in, size_t n, uint8_t *out)
{
    int word = 0, bad = 0;
    for (size_t i = 0; i < 4; i++) {
        int six = i <= n ? value(in[i]) : 0;
        bad |= six;
        word = word << 6 | (six & 63);
    }
    int unused = n == 3 ? 0 : word & (n == 2 ? 0xff : 0xffff);
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(word >> (16 - 8 * i));
    return bad | -unused;
}

bool kfe_base64_decode(const char *in, size_t len, uint8_t *out, size_t cap, size_t *made)
{
    *made = 0;
    if (len % 4 != 0)
        return false;
    if (len == 0)
        return true;
    size_t padding = in[len - 1] != '=' ? 0 : in[len - 2] != '=' ? 1 : 2;
    size_t size = len / 4 * 3 - padding;
    if (size > cap)
        return false;
    int bad = 0;
    for (size_t done = 0; done < size; done += 3, in += 4)
        bad |= quad(in, size - done < 3 ? size - done : 3, out + done);
    if (bad < 0) {
        kfe_wipe(out, size);
        return false;
    }
    *made = size;
    return true;
}
