#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ran.sh LOG [CPUINFO]: prints, from what ctest printed, for each backend how many of its tests ran,
# and fails when one that this CPU has was skipped. What the CPU has is read from the kernel's list
# of features, not from what kfe found out by itself.
set -euo pipefail
log=$1 cpuinfo=${2:-/proc/cpuinfo}

flags=" $(sed -nE '/^(flags|Features)[[:space:]]*:/{s/.*: //p;q}' "$cpuinfo") "
has() {
    local flag
    for flag; do [[ $flags == *" $flag "* ]] || return 1; done
}

expected=openssl
case $(uname -m) in
x86_64)
    aesni=(aes pclmulqdq ssse3 sse4_1)
    vaes256=("${aesni[@]}" avx avx2 bmi2 vaes vpclmulqdq)
    if has "${aesni[@]}"; then expected+=' aesni'; fi
    if has "${vaes256[@]}"; then expected+=' vaes256'; fi
    if has "${vaes256[@]}" avx512f avx512bw avx512vl avx512dq; then expected+=' vaes512'; fi
    ;;
aarch64)
    if has aes pmull; then expected+=' armv8'; fi
    if has aes pmull sha3; then expected+=' armv8-eor3'; fi
    ;;
esac
echo "backends of this CPU: $expected"

# ctest's line: " 3/81 Test  #3: backend.forgery.vaes512 ........   Passed    0.47 sec"
awk -v expected="$expected" '
    match($0, /Test +#[0-9]+: backend\.[a-z]+\.[a-z0-9-]+ /) {
        name = substr($0, RSTART, RLENGTH)
        sub(/.*backend\.[a-z]+\./, "", name)
        sub(/ $/, "", name)
        all[name]++
        passed[name] += /Passed/
        if (/Skipped/) skipped[name] = skipped[name] " " question($0)
    }
    function question(line) {
        sub(/.*backend\./, "", line)
        sub(/\..*/, "", line)
        return line
    }
    END {
        n = split(expected, names, " ")
        for (i = 1; i <= n; i++) wanted[names[i]] = 1
        for (name in all)
            printf "backend %s: %d of %d test programs passed%s%s\n", name, passed[name], all[name],
                skipped[name] == "" ? "" : ", skipped:", skipped[name]
        for (name in wanted) {
            if (passed[name] > 0 && skipped[name] == "") continue
            print "backend " name ": this CPU has it, and it was not tested whole"
            failed = 1
        }
        exit failed
    }' "$log" | sort
