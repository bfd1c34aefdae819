#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# exports.sh LIBRARY...: a library shows symbols that begin with kfe_ and no other.
. "$(dirname "$0")/lint.sh"
need nm

for library; do
    symbols=$(nm -D --defined-only "$library" | awk '{ print $NF }')
    [ -n "$symbols" ] || echo "$library: shows no symbol at all"
    grep -v '^kfe_' <<<"$symbols" | sed "s|^|$library: shows |" || true
done | verdict 'foreign symbols'
