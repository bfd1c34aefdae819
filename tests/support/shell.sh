# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What shell tests of a suite share, sourced by its lib.sh with the suite's name. Everything stands
# in a folder of its own, $dir, which is the current one.

dir=$(mktemp -d "${TMPDIR:-/tmp}/kfe-$1.XXXXXX")
cd "$dir" || exit 1
started=() # processes in the background that end with the test
child=     # one that the test waits for, and then sets to nothing

finish() {
    status=$?
    trap - EXIT INT TERM
    set +e
    for process in $child "${started[@]}"; do
        kill -9 "$process" && wait "$process"
    done 2>/dev/null
    if [ $status != 0 ] && [ $status != 77 ]; then
        for file in out err *.log; do
            [ -s "$file" ] && tail -n 40 "$file" | sed "s/^/  $file: /"
        done
    fi
    rm -rf "$dir"
    exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
    echo "FAILED: $*"
    exit 1
}

skip() {
    echo "skipped: $*"
    exit 77
}

# lacks WHAT: it is not here, though `./dev deps` installs it. A failure with KFE_NO_SKIP=1.
lacks() {
    [ "${KFE_NO_SKIP:-}" != 1 ] || fail "no $* here"
    skip "no $* here (./dev deps installs it)"
}

# run CODE COMMAND...: its exit code must be CODE; its outputs are in `out` and `err`. stdin is
# what the test gives. No run may take longer than a minute.
run() {
    local wanted=$1 got=0
    shift
    timeout 60 "$@" >out 2>err || got=$?
    [ $got = "$wanted" ] || fail "exit code $got, not $wanted: $*"
}

# has FILE TEXT
has() { grep -qF -e "$2" "$1" || fail "no \"$2\" in $1"; }
