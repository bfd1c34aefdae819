#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Does ran.sh see a backend that was skipped? It is given logs and CPUs that do not exist.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
[ "$(uname -m)" = x86_64 ] || { echo 'skipped: the CPUs here are x86-64'; exit 77; }

wide='flags : fpu aes pclmulqdq ssse3 sse4_1 avx avx2 bmi2 vaes vpclmulqdq avx512f avx512bw avx512vl avx512dq x'
line() { printf ' 1/9 Test  #1: backend.%s ........   %s    0.47 sec\n' "$1" "$2"; }

# want CODE TEXT CPU LINES...
want() {
    local code=0 out
    printf '%s\n' "$3" >"$dir/cpuinfo"
    printf '%s\n' "${@:4}" >"$dir/log"
    out=$(bash "$here/ran.sh" "$dir/log" "$dir/cpuinfo") || code=$?
    [ "$code" = "$1" ] && grep -qF -- "$2" <<<"$out" && return
    printf 'wanted %s and "%s", got %s and\n%s\n' "$1" "$2" "$code" "$out"
    exit 1
}

ssl=$(line forgery.openssl Passed)
ni=$(line forgery.aesni Passed)
v256=$(line forgery.vaes256 Passed)
v512=$(line forgery.vaes512 Passed)
want 0 'backends of this CPU: openssl' 'flags : fpu sse2' "$ssl" "$(line forgery.aesni '***Skipped')"
want 0 'backend vaes512: 1 of 1 test programs passed' "$wide" "$ssl" "$ni" "$v256" "$v512"
want 1 'backend vaes512: this CPU has it' "$wide" "$ssl" "$ni" "$v256" "$(line forgery.vaes512 '***Skipped')"
want 1 'backend vaes512: this CPU has it' "$wide" "$ssl" "$ni" "$v256"
want 1 'skipped: streams' "$wide" "$ssl" "$ni" "$v256" "$v512" "$(line streams.vaes512 '***Skipped')"
want 1 'backend aesni: this CPU has it' "${wide/vaes /}" "$ssl" "$(line forgery.aesni '***Failed')"
want 0 'backends of this CPU: openssl aesni' "${wide/vaes /}" "$ssl" "$ni"
want 0 'backends of this CPU: openssl aesni vaes256' "${wide/avx512bw/}" "$ssl" "$ni" "$v256"
want 1 'backend openssl: this CPU has it' 'flags : fpu' "$ni"
