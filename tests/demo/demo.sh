#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh BUILD: the demonstration, on this machine alone: librdkafka's mock cluster stands for
# the broker, a SoftHSM token in a temporary folder for the HSM. Leaves nothing behind.
# DEMO_RECORDS sets the number of records (100000).
set -eu

bin=$(cd "$1" && pwd)/bin
records=${DEMO_RECORDS:-100000}
partitions=32 # the mock cluster keeps 5 MiB of each
dir=
mock=
load=

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
note() { printf '    %s\n' "$*"; }
fail() {
    printf '\ndemo: FAILED: %s\n' "$*" >&2
    exit 1
}
stop() {
    if [ -n "$1" ]; then
        kill "$1" && wait "$1"
    fi
}
clean() {
    status=$?
    trap - EXIT INT TERM
    set +e
    stop "$load" 2>/dev/null
    stop "$mock" 2>/dev/null
    [ -z "$dir" ] || rm -rf "$dir"
    exit $status
}
# `number NAME LINE`: the word behind NAME in "NAME word NAME word ...".
number() { echo "$2" | sed -n "s/.*$1 \([^ ]*\).*/\1/p"; }
show() {
    printf '\033[2m  $ %s\033[0m\n' "$*"
    "$@" | sed 's/^/    /'
    [ "${PIPESTATUS[0]}" = 0 ] || fail "$1"
}

[ -t 1 ] || { say() { printf '\n%s\n' "$*"; } && show() {
    printf '  $ %s\n' "$*"
    "$@" | sed 's/^/    /'
    [ "${PIPESTATUS[0]}" = 0 ] || fail "$1"
}; }

module=
for path in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so \
    /usr/lib64/softhsm/libsofthsm2.so /usr/local/lib/softhsm/libsofthsm2.so; do
    [ -e "$path" ] && module=$path && break
done
if [ -z "$module" ] || ! command -v softhsm2-util >/dev/null; then
    echo "demo: skipped: no SoftHSM here (./dev deps installs it)" >&2
    [ "${KFE_NO_SKIP:-}" != 1 ] || exit 1
    exit 77
fi
for program in kfe mock_cluster demo_load demo_peek; do
    [ -x "$bin/$program" ] || fail "$bin/$program is missing: build first (./dev build)"
done
PATH=$bin:$PATH

trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
umask 077
dir=$(mktemp -d "${TMPDIR:-/tmp}/kfe-demo.XXXXXX")
cd "$dir"

# ---- A token, a broker, a configuration ------------------------------------------------
mkdir tokens
export SOFTHSM2_CONF=$dir/softhsm2.conf
printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$dir/tokens" >"$SOFTHSM2_CONF"
od -An -N8 -tx1 /dev/urandom | tr -d ' \n' >pin
softhsm2-util --init-token --free --label kfe-demo --so-pin "$(cat pin)" --pin "$(cat pin)" >/dev/null

cat >demo.conf <<END
encryption.keyprovider.class=pkcs11
encryption.keyprovider.pkcs11.uri=pkcs11:token=kfe-demo?module-path=$module
encryption.keyprovider.pkcs11.pin=file:$dir/pin
encryption.keyprovider.refresh.ms=200
encryption.keymanager.class=topic
encryption.keymanager.default.key=orders
END

mkfifo hold mock.out
exec 7<>hold # as long as it is open, the mock cluster lives
mock_cluster orders:$partitions plain:$partitions rotated:$partitions <hold >mock.out &
mock=$!
read -r brokers <mock.out

say "A key, made inside a PKCS#11 token. It never leaves it."
show kfe keys create orders -F demo.conf

say "$records records with $partitions partitions: produced and consumed at the same time"
plain=$(demo_load plain demo.conf "$brokers" plain $partitions "$records") || fail "the plain run"
sealed=$(demo_load sealed demo.conf "$brokers" orders $partitions "$records") || fail "the sealed run"
[ "$(number hash "$plain")" = "$(number hash "$sealed")" ] || fail "the two runs differ in content"
note "checked: $(number records "$sealed") records came out, hash of all content $(number hash "$sealed"): as produced"
note ""
row() {
    awk -v what="$1" -v n="$(number records "$2")" -v s="$(number seconds "$2")" \
        -v c="$(number cpu_us "$2")" \
        'BEGIN { printf "    %-28s %9d records/s   %6.2f us CPU per record\n", what, n / s, c }'
}
row "librdkafka, in clear" "$plain"
row "kfe, key, value, 3 headers" "$sealed"
note "(one process produces and consumes; the mock cluster shares the $(nproc) CPUs)"

say "One of these records, as the broker has it"
place=$(kfe inspect -b "$brokers" -t orders -c 1)
p=$(echo "$place" | sed 's/.*"partition":\([0-9]*\).*/\1/')
o=$(echo "$place" | sed 's/.*"offset":\([0-9]*\).*/\1/')
demo_peek "$brokers" orders "$p" "$o" || fail "demo_peek"

say "What its kfe header says, without any key"
show kfe inspect -b "$brokers" -t orders -p "$p" -o "$o" -c 1

say "The same record, as a consumer with the token has it"
show kfe consume -b "$brokers" -t orders -p "$p" -o "$o" -c 1 -F demo.conf

say "$records more, and the key is rotated in the middle by another process"
mkfifo go half
demo_load rotate demo.conf "$brokers" rotated $partitions "$records" <go >half &
load=$!
exec 8>go 9<half
read -r word <&9 || fail "the run with rotation"
[ "$word" = half ] || fail "the run with rotation"
show kfe keys rotate orders -F demo.conf
echo go >&8
read -r rotated <&9 || fail "the run with rotation"
wait "$load" || fail "the run with rotation"
load=
exec 8>&- 9<&-
[ "$(number hash "$rotated")" = "$(number hash "$sealed")" ] || fail "content differs after rotation"
note "checked: $(number records "$rotated") records came out, hash of all content $(number hash "$rotated"): as produced"
kfe inspect -b "$brokers" -t rotated -e |
    sed -n 's/.*"key":"\([^"]*\)","version":\([0-9]*\).*/\1@\2/p' | sort | uniq -c >versions
awk '{ printf "    sealed under %s: %d records\n", $2, $1 }' versions
awk '{ n += $1 } END { exit n == '"$records"' && NR == 2 ? 0 : 1 }' versions ||
    fail "the topic does not hold $records records under two versions"
show kfe keys list -F demo.conf

say "Done. All of it stood in $dir, which is removed now."
