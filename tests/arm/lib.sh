# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the checks of the ARM kernels share. EMULATOR, BIN and PLUGIN come from CMake.
set -euo pipefail
for program in "$EMULATOR" aarch64-linux-gnu-objdump; do
    command -v "$program" >/dev/null || {
        echo "skipped: no $program here (./dev deps arm64 installs it)"
        [ "${KFE_NO_SKIP:-}" = 1 ] && exit 1
        exit 77
    }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# spans MODE BACKEND: each stretch as its name, then instructions, vector operations and hash.
spans() {
    "$EMULATOR" -cpu max -plugin "$PLUGIN,out=$work/trace" "$BIN/arm_spans" "$1" "$2" >"$work/names"
    paste -d ' ' "$work/names" "$work/trace"
}
