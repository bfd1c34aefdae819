#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# dispatch.sh MODEL BACKEND: on that CPU that backend is the best, passes all vectors, and one that the
# CPU lacks is refused by name, not by a signal.
. "$(dirname "$0")/lib.sh"

doctor() { "$EMULATOR" -cpu "$1" "$BIN/kfe" doctor 2>&1 || true; }

best=$(doctor "$1" | sed -n 's/^ok *backends *\([a-z0-9-]*\).*/\1/p')
[ "$best" = "$2" ] || { echo "$1: the best backend is $best, not $2"; exit 1; }
"$EMULATOR" -cpu "$1" "$BIN/test_backend_vectors" "$2"
if [ "$2" = armv8 ]; then
    said=$(KFE_BACKEND=armv8-eor3 doctor "$1")
    grep -q 'armv8-eor3 cannot run on this CPU' <<<"$said" || { echo "$1: $said"; exit 1; }
fi
