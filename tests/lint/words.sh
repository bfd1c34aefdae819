#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Each C file begins with the licence line and has no `//` comment; nothing that is tracked leaves
# work for later in a comment or names a folder of somebody's machine; and the code for tokens names
# none of them: it asks what a token can, not who made it.
. "$(dirname "$0")/lint.sh"

licence='/* SPDX-License-Identifier: Apache-2.0 */'
products='soft ?hsm|softokn|(^|[^a-z])nss([^a-z]|$)|kryoptic|opencryptoki|cloud ?hsm|(^|[^a-z])luna([^a-z]|$)|nshield|utimaco|yubi|nitrokey'
{
    files '*.c' '*.h' '*.inc' | while read -r file; do
        [ "$(head -n 1 "$file")" = "$licence" ] || echo "$file:1: the first line is not $licence"
        code "$file" | sed -nE 's|^([^:]*:[0-9]+):.*//.*|\1: a // comment|p'
    done
    # [O] and [X] keep this file out of its own net.
    files | xargs -r grep -HnIwE 'TOD[O]|FIXM[E]|XX[X]' | sed -E 's/^([^:]*:[0-9]+):.*/\1: work left for later/' || true
    files | xargs -r grep -HnIE '(^|[^A-Za-z0-9._-])/(wor[k]|roo[t])/' |
        sed -E 's/^([^:]*:[0-9]+):.*/\1: a folder of one machine/' || true
    files 'pkcs11/*.[ch]' | while read -r file; do
        grep -HniE "$products" "$file" | sed -E 's/^([^:]*:[0-9]+):.*/\1: names a product/' || true
    done
} | verdict 'words'
