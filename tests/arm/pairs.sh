#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pairs.sh OBJECT...: cores run AESE and AESMC as one where they stand side by side on one register:
# every AESMC has to stand so. And what kernels have in vector registers, keys and texts, must not go to
# the stack: there nobody wipes it.
. "$(dirname "$0")/lib.sh"

for object; do
    aarch64-linux-gnu-objdump -d --no-show-raw-insn "$object" | awk -v object="$(basename "$object")" '
        /^[0-9a-f]+ <.*>:$/ { kernel = $2 ~ /^<(seal|open|crypt)_(128|192|256)/ ; kernels += kernel }
        $2 == "aesmc" {
            split($3, register, ",")
            n++
            if (before != "aese " register[1] || $4 != substr($3, 1, length($3) - 1)) {
                apart++
                print object ": " $0
            }
        }
        kernel && $2 ~ /^(str|stp|stur|st1)$/ && /\t[{]?[qv][0-9].*\[(sp|x29)/ { spilled++; print object ": " $0 }
        { split($3, register, ","); before = $2 " " register[1] }
        END {
            printf "%s: %d pairs, %d apart; %d kernels, %d vectors to the stack\n", object, n, apart, kernels, spilled
            exit n < 1000 || apart > 0 || kernels < 12 || spilled > 0
        }' || failed=1
done
exit "${failed:-0}"
