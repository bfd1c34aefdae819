# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the lints share; a lint sources it. KFE_LINT_ROOT: another tree to look at.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "${KFE_LINT_ROOT:-$here/../..}"

# files PATTERN...: what git tracks or would track, one per line.
files() {
    local list
    list=$(git -c safe.directory='*' ls-files -co --exclude-standard -- "$@") || {
        echo 'not a git checkout' >&2
        exit 1
    }
    while read -r file; do [ ! -f "$file" ] || printf '%s\n' "$file"; done <<<"$list"
}

# code FILE...: FILE:LINE:CODE, with comments, strings and character constants emptied.
code() { awk -f "$here/code.awk" "$@"; }

# verdict WHAT: the lint's end. Offences, one per line, come in on standard input.
verdict() {
    local offences
    offences=$(cat)
    [ -z "$offences" ] && return 0
    printf '%s\n' "$offences"
    printf '%s: %d\n' "$1" "$(wc -l <<<"$offences")"
    exit 1
}

# need PROGRAM: exit 77 (skipped) without it; a failure with KFE_NO_SKIP=1.
need() {
    command -v "$1" >/dev/null && return
    echo "skipped: no $1 here (./dev deps installs it)"
    [ "${KFE_NO_SKIP:-}" = 1 ] && exit 1
    exit 77
}
