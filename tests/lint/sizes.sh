#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A function has at most 80 lines and 6 parameters (a pointer and the size_t right behind it count
# as one), a file at most 450 lines (the GCM template 800). Prints the medians, which should be
# near 15 and 180.
. "$(dirname "$0")/lint.sh"
need ctags

median() { sort -n | awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : 0 }'; }

# FILE LINE LAST-LINE NAME SIGNATURE, tab separated.
functions() {
    files '*.c' '*.h' '*.inc' |
        ctags -L - -x --languages=C --map-C=+.inc --map-C=+.h --kinds-C=f --fields=+e \
            --_xformat='%F	%n	%e	%N	%S'
}

functions | awk -F '\t' '{ print $3 - $2 + 1 }' | median | sed 's/^/median of functions, lines: /'
files '*.c' '*.h' '*.inc' | xargs -r -n 1 wc -l | median | sed 's/^/median of files, lines: /'
{
    functions | awk -F '\t' '
        $3 - $2 + 1 > 80 { print $1 ":" $2 ": " $4 "() has " $3 - $2 + 1 " lines, above 80" }
        {
            gsub(/\([^()]*\)\(/, "*(", $5) # the name in a pointer to a function
            while (gsub(/[^ (]\([^()]*\)/, "*", $5)) continue
            n = last = split($5, parameter, ",")
            for (i = 2; i <= last; i++)
                if (parameter[i] ~ /^ *size_t [a-z_]+/ && parameter[i - 1] ~ /[*[]/) n--
            if (n > 6) print $1 ":" $2 ": " $4 "() has " n " parameters, above 6"
        }'
    files '*.c' '*.h' '*.inc' | xargs -r -n 1 wc -l | awk '
        $1 > ($2 ~ /engine\/gcm.*\.inc$/ ? 800 : 450) { print $2 ":" $1 ": the file is too long" }'
} | verdict 'too large'
