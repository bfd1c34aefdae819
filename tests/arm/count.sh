#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Instructions that a message takes, exactly: AES-256-GCM, 32 bytes of AAD, a batch of 64 under one
# key. Prints a table and fails where the backend with EOR3 needs more than its bar.
. "$(dirname "$0")/lib.sh"

failed=0
for backend in armv8-eor3 armv8; do
    spans count "$backend" | awk -v backend="$backend" '
        BEGIN {
            if (backend == "armv8-eor3")
                split("16 165 64 300 100 430 300 960 1024 2880", pair)
            for (i = 1; i in pair; i += 2) bar[pair[i]] = pair[i + 1]
            printf "%-12s %-5s %6s %12s %8s %6s\n", "backend", "what", "bytes", "instructions", "vector", "bar"
        }
        $1 == "key" { printf "%-12s %-5s %6s %12d %8d\n", backend, $1, "", $3, $4; next }
        {
            b = $1 == "seal" ? bar[$2] : ""
            printf "%-12s %-5s %6d %12.1f %8.1f %6s\n", backend, $1, $2, $3 / 64, $4 / 64, b
            if ($1 == "seal") seen[$2] = 1
            if (b != "" && $3 / 64 > b) { print "above the bar"; bad = 1 }
        }
        END {
            for (size in bar) if (!seen[size]) { print "not counted: " size; bad = 1 }
            exit bad
        }' || failed=1
done
exit $failed
