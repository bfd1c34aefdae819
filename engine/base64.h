/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_BASE64_H
#define KFE_ENGINE_BASE64_H

/* Base64 (RFC 4648, section 4), strict: padded, no blanks, unused bits zero, so each string of
 * bytes has exactly one form. No table and no branch depends on the bytes: they may be keys. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters for `len` bytes, without a NUL; `len` is at most SIZE_MAX / 4. */
size_t kfe_base64_size(size_t len);

/* Writes kfe_base64_size(len) characters, no NUL. */
void kfe_base64_encode(const uint8_t *in, size_t len, char *out);

/* Decodes `len` characters to at most `cap` bytes and sets *made. False: malformed or too long;
 * `out` is then wiped. */
bool kfe_base64_decode(const char *in, size_t len, uint8_t *out, size_t cap, size_t *made);

#endif
