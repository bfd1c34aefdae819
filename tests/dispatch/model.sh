#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# model.sh BIN CPU BACKENDS: under qemu with that CPU, kfe must find exactly these backends, best
# first, take the first of them, refuse by name each that it lacks, and pass all vectors on the one that
# it takes, all without an instruction that the CPU does not know.
set -euo pipefail
bin=$1 cpu=$2 expected=$3

qemu=$(command -v qemu-x86_64) || {
    echo "skipped: no qemu-x86_64 here (Debian: qemu-user)"
    [ "${KFE_NO_SKIP:-}" = 1 ] && exit 1
    exit 77
}

# emulated BACKEND PROGRAM...: under that KFE_BACKEND. What qemu itself says on standard error (the
# features of a model that it cannot emulate) is of no interest.
emulated() { "$qemu" -cpu "$cpu" -E KFE_BACKEND="$1" "${@:2}" 2>/dev/null; }

fail() {
    echo "$cpu: $*"
    exit 1
}

found=$(emulated auto "$bin/dispatch_here") || fail "exit $?: $found"
[ "$found" = "$expected : ${expected%% *}" ] || fail "found '$found', wanted '$expected'"

for backend in vaes512 vaes256 aesni openssl; do
    code=0
    found=$(emulated "$backend" "$bin/dispatch_here") || code=$?
    case " $expected " in
    *" $backend "*)
        [ "$code:$found" = "0:$expected : $backend" ] || fail "KFE_BACKEND=$backend: exit $code: '$found'"
        ;;
    *)
        [ $code = 1 ] || fail "KFE_BACKEND=$backend: exit $code: '$found'"
        grep -q "KFE_E_BACKEND: .*$backend.*CPU" <<<"$found" || fail "KFE_BACKEND=$backend: '$found'"
        ;;
    esac
done
out=$(emulated auto "$bin/test_backend_vectors" "${expected%% *}") || fail "vectors: exit $?: $out"
echo "$cpu: $expected"
