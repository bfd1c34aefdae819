#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Three keys with three sets of texts, lengths being equal: every address that is executed, read or
# written has to be the same, in key set-up, seal, open and the pieces. A planted leak has to be seen.
. "$(dirname "$0")/lib.sh"

# The stretches whose traces differ between the three sets.
differing() {
    spans alike "$1" | awk '
        { name[NR] = $1; hash[NR] = $NF; seen[$NF] = 1 }
        END {
            n = NR / 3
            if (NR == 0 || NR % 3 != 0) { print "broken"; exit }
            for (i = 1; i <= n; i++)
                if (hash[i] != hash[n + i] || hash[i] != hash[2 * n + i]) print name[i]
            for (h in seen) distinct++
            if (distinct < 3) print "hashes-that-say-nothing"
        }'
}

failed=0
for backend in armv8-eor3 armv8; do
    found=$(differing "$backend")
    [ -z "$found" ] || { echo "$backend: traces depend on secrets in" $found; failed=1; }
done
found=$(differing leaky | sort -u | paste -sd ' ')
[ "$found" = "key open pieces seal" ] || { echo "the planted leak was seen only in: $found"; failed=1; }
exit $failed
