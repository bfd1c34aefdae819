#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# outage.sh FOLDER-OF-KFE: a token that dies under load and comes back after KFE_OUTAGE_S seconds. Is nothing
# lost, does no record wait, and is the token in use again within 5 s of its return?
set -euo pipefail
PATH=$(realpath "$1"):$PATH
. "$(dirname "$0")/broker.sh"
outage=${KFE_OUTAGE_S:-3}

module=$(ls /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so 2>/dev/null | head -n 1)
client=$(ls /usr/lib/*/pkcs11/p11-kit-client.so 2>/dev/null | head -n 1)
broker_need p11-kit softhsm2-util kcat
[ -n "$module" ] && [ -n "$client" ] || broker_lacks "SoftHSM or p11-kit client module"

dir=$(mktemp -d)
server=
# It has a child for each connection, all in one process group of their own.
stop_server() {
    [ -z "$server" ] || kill -KILL -- "-$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    server=
}
trap 'touch "$dir/enough"; stop_server; broker_stop; rm -rf "$dir"' EXIT
broker_start "$dir/broker"
cd "$dir"
umask 077
mkdir tokens
export SOFTHSM2_CONF=$dir/softhsm2.conf P11_KIT_SERVER_ADDRESS=unix:path=$dir/socket
printf 'directories.tokendir = %s\nlog.level = ERROR\n' "$dir/tokens" >softhsm2.conf
softhsm2-util --init-token --free --label test --so-pin 87654321 --pin 13572468 >/dev/null
printf 13572468 >pin
conf() {
    cat <<END
encryption.keyprovider.class=pkcs11
encryption.keyprovider.pkcs11.uri=pkcs11:token=test?module-path=$1
encryption.keyprovider.pkcs11.pin=file:$dir/pin
encryption.keyprovider.refresh.ms=500
encryption.keyprovider.cache.ms=120000
encryption.keymanager.class=topic
encryption.keymanager.default.key=orders
encryption.statistics.interval.ms=100
END
}
conf "$module" >direct.conf
conf "$client" >kfe.conf

start_server() {
    rm -f socket
    setsid p11-kit server -f -n "$dir/socket" --provider "$module" pkcs11:token=test >/dev/null 2>&1 &
    server=$!
    for _ in $(seq 100); do [ -S socket ] && return; sleep 0.1; done
    echo 'p11-kit server does not start'
    exit 1
}
# has TEXT: waits for it in the newest line of statistics.
has() {
    for _ in $(seq 600); do
        tail -n 1 stats 2>/dev/null | grep -q "$1" && return
        sleep 0.05
    done
    echo "statistics do not come to $1:"
    tail -n 1 stats
    exit 1
}
sealed() { tail -n 1 stats | sed 's/.*"seal":{"calls":[0-9]*,"records":\([0-9]*\).*/\1/'; }

kfe keys create orders -F direct.conf >/dev/null
start_server
# A steady load, until there is a file `enough`.
feed() {
    local n=1
    while [ ! -e enough ]; do
        seq $n $((n + 199)) | sed 's/.*/{"value": "MARKER &"}/'
        n=$((n + 200))
        sleep 0.05
    done
    echo $((n - 1)) >fed
}
feed | kfe produce -b "$KFE_BROKER" -F kfe.conf -t outage 2>stats &
producer=$!
has '"records":[0-9]\{4,\}'
has '"version":1,"kind"'

echo "the token dies under load, for $outage s"
stop_server
has '"breaker":"\(open\|half-open\)"'
before=$(sealed)
sleep "$outage"
after=$(sealed)
[ "$after" -gt $((before + 200)) ] || { echo "only $before to $after records while it was gone"; exit 1; }

start_server
returned=$(date +%s%3N)
kfe keys rotate orders -F direct.conf >/dev/null
has '"version":2,"kind"'
took=$(($(date +%s%3N) - returned))
echo "  it is back, and its new key in use after $took ms"
[ "$took" -le 5500 ] || { echo 'that is too long'; exit 1; }
has '"breaker":"closed"'
has '"waits":1,"refused":{}'

touch enough
wait "$producer"
kfe consume -b "$KFE_BROKER" -F direct.conf -t outage -e 2>/dev/null |
    sed 's/.*"value":"MARKER \([0-9]*\)".*/\1/' >opened
seq 1 "$(cat fed)" | cmp - opened || { echo 'records are missing, or in another order'; exit 1; }
echo "  $(cat fed) records, $((after - before)) of them while it was gone: none lost, none waited"
