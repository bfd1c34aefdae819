#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# With a standard descriptor closed, or the keys away for a while: does kfe fail or wait, and say so?
. "$(dirname "$0")/lib.sh"
start_mock t:1 away:1
make_keystore
echo '{"value":"v"}' >in
run 0 kfe produce -b "$brokers" -t t -F kfe.conf <in

# ---- Closed descriptors: nothing is written into a socket of librdkafka's, nothing read from one --
got=0
timeout 60 kfe consume -b "$brokers" -t t -e -F kfe.conf >&- 2>err || got=$?
[ $got = 1 ] || fail "exit code $got with stdout closed"
has err 'cannot write to stdout'
run 0 kfe produce -b "$brokers" -t t -F kfe.conf <&-
got=0
timeout 60 kfe consume -b "$brokers" -t t -e -F kfe.conf >out 2>&- || got=$?
[ $got = 0 ] || fail "exit code $got with stderr closed"
lines out 1

# ---- No key store for a while: the record waits, is told once, and is not lost -------------------
run 0 kfe produce -b "$brokers" -t away -F kfe.conf <in
mv keys.json elsewhere
kfe consume -b "$brokers" -t away -e -F kfe.conf >out 2>err &
child=$!
for _ in $(seq 300); do
    if grep -q waiting err; then break; fi
    sleep 0.1
done
has err 'KFE_E_PROVIDER'
sleep 1 # several tries
lines err 1
mv elsewhere keys.json
wait "$child" || fail "exit code $? after the keys came back"
child=
lines out 1
has out '"value":"v"'
