#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Calls that have no place here. memcmp() stops at the first difference: where secrets are at hand
# (kernels, pkcs11, files that include engine/secret.h) a line that has it says `/* public */`, so
# neither side is one. Secrets are compared by kfe_equal_ct().
. "$(dirname "$0")/lint.sh"

banned='sprintf|vsprintf|strcpy|strcat|strtok|gets|alloca|system|popen|atoi'
{
    files '*.c' '*.h' '*.inc' | while read -r file; do code "$file"; done |
        grep -E "[^A-Za-z0-9_]($banned)[[:space:]]*\(" |
        sed -E "s/^([^:]*:[0-9]+):.*[^A-Za-z0-9_]($banned)[[:space:]]*\(.*/\1: banned call \2()/" || true
    {
        files 'intel/*' 'arm/*' 'pkcs11/*.[ch]'
        files 'engine/*.[ch]' 'engine/*.inc' | xargs -r grep -lF '#include "engine/secret.h"' || true
    } | xargs -r grep -HnE '(^|[^A-Za-z0-9_])memcmp[[:space:]]*\(' | grep -vF '/* public */' |
        sed -E 's/^([^:]*:[0-9]+):.*/\1: memcmp() without a word that it is on public data/' || true
} | verdict 'banned calls'
