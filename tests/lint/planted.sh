#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Do the lints find what they look for? Plants one offence after the other in a tree that is
# otherwise clean, and wants each named by file and line.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
export KFE_LINT_ROOT=$tree
failed=0
licence='/* SPDX-License-Identifier: Apache-2.0 */'

git init -q "$tree"
cp "$here/../../.clang-format" "$tree"

# check LINT WANTED: WANTED is a part of what the lint must print; "" means that it must pass.
check() {
    local code=0 out
    out=$(bash "$here/$1.sh" 2>&1) || code=$?
    case $2:$code in
    :0) return ;;
    ?*:1) grep -qF -- "$2" <<<"$out" && return ;;
    ?*:123) grep -qF -- "$2" <<<"$out" && return ;; # xargs
    esac
    printf '%s.sh: wanted "%s", got %d and\n%s\n' "$1" "$2" "$code" "$out"
    failed=1
}

# plant LINT FILE TEXT WANTED: text without the licence line, which is line 1.
plant() {
    mkdir -p "$tree/$(dirname "$2")"
    printf '%s\n%b\n' "$licence" "$3" >"$tree/$2"
    check "$1" "$4"
    rm "$tree/$2"
}

plant includes kafka/a.c '#include <kfe/kfe.h>\n#include "kafka/hold.h"' ''
plant includes kafka/a.c '#include "engine/secret.h"' 'kafka/a.c:2: may not include "engine/secret.h"'
plant includes pkcs11/a.c '\n  # include "engine/secret.h"' 'pkcs11/a.c:3:'
plant includes pkcs11/a.c '#include <librdkafka/rdkafka.h>' 'pkcs11/a.c:2:'
plant includes engine/a.c '#include "kafka/hold.h"' 'engine/a.c:2:'
plant includes engine/a.c '#include <immintrin.h>' 'engine/a.c:2:'
plant includes engine/a.c '#include "secret.h"' 'engine/a.c:2:'
plant includes intel/a.c '#include "engine/backend.h"\n#include "engine/gcm.inc"' ''
plant includes intel/a.c '#include "engine/secret.h"' 'intel/a.c:2:'
plant includes arm/a.c '#include <kfe/kfe.h>' 'arm/a.c:2:'
plant includes engine/include/kfe/a.h '#include "engine/secret.h"' 'engine/include/kfe/a.h:2:'
plant includes kafka/include/a.h '' 'kafka/include/a.h:1:'
plant includes tests/unit/a.c '#include "engine/secret.h"\n#include "kafka/hold.h"' ''

plant banned engine/a.c 'int n = snprintf(a, b, "strcpy(");\n/* one gets (not the call) */' ''
for call in sprintf vsprintf strcpy strcat strtok gets alloca system popen atoi; do
    plant banned tests/a.c "x = $call (y);" "tests/a.c:2: banned call $call()"
done
secret='#include "engine/secret.h"'
plant banned engine/a.c "$secret\nif (memcmp(a, b, 4)) /* public */" ''
plant banned engine/a.c "$secret\nif (memcmp(a, b, 4))" 'engine/a.c:3: memcmp()'
plant banned intel/a.c 'if (memcmp(a, b, 4))' 'intel/a.c:2: memcmp()'
plant banned engine/a.c 'if (memcmp(a, b, 4))' ''
plant banned tests/a.c "$secret\nif (memcmp(a, b, 4))" ''

plant words engine/a.c 'const char *url = "https://kafka";\n/* see https://x */' ''
plant words engine/a.c 'int a; // no' 'engine/a.c:2: a // comment'
plant words engine/a.c '/* TOD''O: later */' 'engine/a.c:2: work left'
plant words docs/a.md 'cd /roo''t/kfe' 'docs/a.md:2: a folder'
plant words docs/a.md 'framework/x' ''
plant words pkcs11/a.c '/* as a missing answer */\nint transshipment;' ''
plant words pkcs11/a.c 'if (is("SoftHSM v2"))' 'pkcs11/a.c:2: names a product'
plant words pkcs11/a.h '\n/* NSS tells no tag. */' 'pkcs11/a.h:3: names a product'
plant words tests/a.c 'int nss;' ''
printf 'int a;\n' >"$tree/b.c"
check words 'b.c:1: the first line'
rm "$tree/b.c"

body=$(printf '    g();\\n%.0s' {1..77})
plant sizes engine/a.c "int f(int a, int (*b)(int, int), int c, int d, int e, int g)\n{\n$body}" ''
plant sizes engine/a.c "int f(void)\n{\n$body$body}" 'engine/a.c:2: f() has 157 lines'
plant sizes engine/a.c 'int f(int a, int b, int c, int d,\n      int e, int g, int h)\n{\n}' 'engine/a.c:2: f() has 7 parameters'
plant sizes engine/a.c 'int f(int a, int *b, size_t c, int d[2], size_t e,\n      int g, int h, int i)\n{\n}' ''
plant sizes engine/a.c 'int f(int a, int *b, size_t c, size_t d, int e,\n      int g, int h, int i)\n{\n}' 'engine/a.c:2: f() has 7 parameters'
plant sizes engine/a.c "$(printf '\\n%.0s' {1..450})" 'engine/a.c:452: the file'

plant format engine/a.c 'int a;' ''
plant format engine/a.c 'int  a;' 'engine/a.c:2:'

# page FILE TEXT WANTED: as plant, without the licence line.
page() {
    mkdir -p "$tree/$(dirname "$1")"
    printf '%b\n' "$2" >"$tree/$1"
    check pages "$3"
    rm "$tree/$1"
}
mkdir -p "$tree/intel/below"
printf '%s\n' "$licence" | tee "$tree/intel/a.c" >"$tree/intel/below/b.inc"
page intel/README.md '`a` `below/b.inc`' ''
page intel/README.md '`a.c`, or `below/*`, or `*`' ''
page intel/README.md 'a, `c`, `below/b*`' 'intel/README.md:1: does not name intel/a.c'
page intel/README.md '`a`, `below/`' 'does not name intel/below/b.inc'
rm -r "$tree/intel"
page docs/a.md '## Of `a`, and *b*\n[x](a.md#of-a-and-b) [y](https://b/c#d) [z](#of-a-and-b)\n```\n[x](y)\n```' ''
page docs/a.md 'a [b](a.md)\n[c](b.md), [d](c.md)' 'docs/a.md:2: no file c.md'
page docs/a.md '# A\n```\n# B\n```\n[b](a.md#b)' 'docs/a.md:5: no heading a.md#b'

printf '#!/bin/sh\ncd "$1"\nls\n' >"$tree/a.sh"
check shell 'a.sh:2:1: warning'
printf '#!/bin/sh\necho "$1"\n' >"$tree/a.sh"
check shell ''
rm "$tree/a.sh"

# A library with a symbol of its own kind and one that is not.
cc=${CC:-cc}
printf 'int kfe_a; int b; static int c; int f(void) { return c; }\n' >"$tree/x.c"
"$cc" -shared -fPIC -o "$tree/x.so" "$tree/x.c"
out=$(bash "$here/exports.sh" "$tree/x.so" 2>&1) && { echo 'exports.sh passed b and f'; failed=1; }
[ "$(grep -c 'shows [bf]$' <<<"$out")" = 2 ] || { echo "exports.sh: $out"; failed=1; }

exit $failed
