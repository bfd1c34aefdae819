# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the shell tests of kfe.so share. A test is called as: test.sh MODULES [...], the folder with
# kfe.so. Everything stands in a folder of its own, $dir, which is the current one.
set -euo pipefail

modules=$1
dir=$(mktemp -d "${TMPDIR:-/tmp}/kfe-openssl.XXXXXX")
cd "$dir"
started=() # processes that a test has in the background
unset OPENSSL_CONF OPENSSL_MODULES KFE_BACKEND

finish() {
    status=$?
    trap - EXIT INT TERM
    set +e
    for process in "${started[@]}"; do
        kill "$process" && wait "$process"
    done 2>/dev/null
    if [ $status != 0 ] && [ $status != 77 ]; then
        for file in out err *.log; do
            [ -s "$file" ] && tail -n 20 "$file" | sed "s/^/  $file: /"
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

# run CODE COMMAND...: its exit code must be CODE; its outputs are in `out` and `err`.
run() {
    local wanted=$1 got=0
    shift
    timeout 60 "$@" >out 2>err || got=$?
    [ $got = "$wanted" ] || fail "exit code $got, not $wanted: $*"
}

# has FILE TEXT
has() { grep -qF -e "$2" "$1" || fail "no \"$2\" in $1"; }

command -v openssl >/dev/null || skip "no openssl"
with=(-provider-path "$modules" -provider kfe)
if ! openssl list -providers "${with[@]}" >out 2>err; then
    grep -q 'no kernel' err && skip "$(grep -o 'kfe has no kernel.*' err)"
    fail "kfe.so does not load"
fi

# A configuration as docs/openssl.md has it.
configure() {
    cat >openssl.cnf <<END
openssl_conf = openssl_init

[openssl_init]
providers = provider_list
alg_section = algorithms

[provider_list]
default = default_section
kfe = kfe_section

[default_section]
activate = 1

[kfe_section]
module = $modules/kfe.so
activate = 1

[algorithms]
default_properties = ?provider=kfe
END
}
