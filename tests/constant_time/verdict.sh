#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# verdict.sh WANTED COMMAND...: WANTED is "clean" (the command must pass), or a part of what it must
# report when it fails. "missing WHAT": skipped, for that was not there when the build was configured.
set -uo pipefail
wanted=$1
shift
if [ "$wanted" = missing ]; then
    echo "skipped: no $1 here"
    [ "${KFE_NO_SKIP:-}" = 1 ] && exit 1
    exit 77
fi

out=$("$@" 2>&1)
code=$?
printf '%s\n' "$out" | head -n 40
[ $code != 77 ] || exit 77
if [ "$wanted" = clean ]; then exit $code; fi
if [ $code = 0 ] || ! grep -qF -- "$wanted" <<<"$out"; then
    echo "a leak was planted, and '$wanted' is not reported (exit $code)"
    exit 1
fi
