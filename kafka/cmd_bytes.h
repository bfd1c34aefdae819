/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_CMD_BYTES_H
#define KFE_CMD_BYTES_H

/* Bytes as text: which ones are text already, and base64 for those that are not. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True for well-formed UTF-8 (RFC 3629: shortest form, no surrogates, up to U+10FFFF). */
bool kfe_cmd_is_utf8(const void *data, size_t len);

/* RFC 4648, section 4, padded. Decodes in place. False, with *len unchanged, unless
 * `text` is exactly what encoding would give: no blanks, no missing padding, no stray bits. */
bool kfe_cmd_base64_decode(char *text, size_t *len);
/* Writes 4 characters for up to 3 bytes. */
void kfe_cmd_base64_encode(const uint8_t *in, size_t len, char out[4]);

#endif
