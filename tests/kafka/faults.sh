#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# faults.sh FOLDER-OF-KFE: what is left after `kfe produce` is killed in the middle, and after the broker
# is? Every record with a success report is there and opens; nothing that opens was never produced.
set -euo pipefail
PATH=$(realpath "$1"):$PATH
. "$(dirname "$0")/broker.sh"

dir=$(mktemp -d)
trap 'broker_stop; rm -rf "$dir"' EXIT
broker_need kcat
broker_start "$dir/broker"
cd "$dir"
umask 077

cat >kfe.conf <<'END'
encryption.keyprovider.class=file
encryption.keyprovider.file.path=keys.json
encryption.keymanager.class=topic
encryption.keymanager.default.key=orders
END
kfe keys create -F kfe.conf orders >/dev/null

# lines FIRST LAST: records with a number each, and a marker that must never be stored.
lines() { seq "$1" "$2" | sed 's/.*/{"key": "key &", "value": "MARKER &", "headers": [["h", "MARKER"]]}/'; }
# stored TOPIC: its records, by the end offset of its one partition.
stored() { kcat -b "$KFE_BROKER" -Q -t "$1:0:-1" 2>/dev/null | awk '{ n = $NF } END { print n + 0 }'; }
# numbers TOPIC: of the records that open, sorted. Fails if any is refused.
numbers() { kfe consume -b "$KFE_BROKER" -F kfe.conf -t "$1" -e | sed 's/.*"value":"MARKER \([0-9]*\)".*/\1/' | sort -n; }

echo 'kfe produce, killed while its input goes on'
mkfifo input
kfe produce -b "$KFE_BROKER" -F kfe.conf -t killed <input &
producer=$!
lines 1 1000000000 >input 2>/dev/null &
feeder=$!
for _ in $(seq 300); do
    [ "$(stored killed)" -lt 2000 ] || break
    sleep 0.1
done
kill -KILL "$producer"
wait "$producer" 2>/dev/null || true
kill "$feeder" 2>/dev/null || true
wait "$feeder" 2>/dev/null || true
numbers killed >opened
total=$(wc -l <opened)
[ "$total" -ge 2000 ] || { echo "only $total records were stored"; exit 1; }
[ "$(uniq opened | wc -l)" = "$total" ] || { echo 'records came twice'; exit 1; }
[ "$(stored killed)" = "$total" ] || { echo 'some stored records do not open'; exit 1; }
echo "  $total records were stored, all open"

echo 'a producer started again goes on under a new session'
lines 2000001 2000100 | kfe produce -b "$KFE_BROKER" -F kfe.conf -t killed
[ "$(numbers killed | wc -l)" = $((total + 100)) ]

echo 'the broker, killed while records are produced'
mkfifo late
code=0
kfe produce -b "$KFE_BROKER" -F kfe.conf -t broken -X acks=all -X message.timeout.ms=3000 <late 2>errors &
producer=$!
{ lines 1 20000; touch half; until [ -e dead ]; do sleep 0.1; done; lines 20001 21000; } >late 2>/dev/null &
feeder=$!
for _ in $(seq 300); do
    [ -e half ] && [ "$(stored broken)" -ge 2000 ] && break
    sleep 0.1
done
broker_kill
touch dead
wait "$producer" || code=$?
wait "$feeder" 2>/dev/null || true
cat errors >&2
[ $code = 2 ] || { echo "kfe produce ended with $code, not 2"; exit 1; }
grep -q MARKER errors && { echo 'an error message holds plaintext'; exit 1; }
broker_run "$dir/broker" || { tail -n 20 "$dir/broker/broker.log"; exit 1; }
numbers broken >opened
total=$(wc -l <opened)
[ "$total" -ge 2000 ] && [ "$total" -lt 21000 ] || { echo "$total records were stored"; exit 1; }
[ "$(stored broken)" = "$total" ] || { echo 'some stored records do not open'; exit 1; }
[ "$(tail -n 1 opened)" -le 21000 ]
echo "  $total records were stored, all open; the others were reported as failed"

if grep -rqa MARKER broker/data; then
    echo 'plaintext is stored'
    exit 1
fi
