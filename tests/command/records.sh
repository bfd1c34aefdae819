#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Do records come out of `kfe consume` as they went into `kfe produce`, sealed in between?
. "$(dirname "$0")/lib.sh"
command -v kcat >/dev/null || lacks kcat
start_mock t:3 one:1 cut:1 order:1 dead:1 sig:1
make_keystore

# ---- Every shape of a field -------------------------------------------------------------
cat >in <<'END'
{"key":"k1","value":"MARKER v\u00e9\n\"","headers":[["a","1"],["a",null],["b",""],["bin",{"base64":"AAEC/w=="}]]}
{"key":null,"value":""}
{"value":{"base64":""}}
{"key":"","value":"\u009b\u007fx"}
{}

{"key":{"base64":"/wA="},"headers":[]}
{"key":"\ud83d\ude00","value":"\\u0000"}
END
printf '{"key":"no line end"}' >>in
run 0 kfe produce -b "$brokers" -t t -F kfe.conf <in
[ ! -s out ] || fail "produce writes to stdout"
run 0 kfe consume -b "$brokers" -t t -e -F kfe.conf
lines out 8
sed 's/,"partition":[0-2],"offset":[0-9]*,"timestamp":[0-9]*}$//' out | sort >came
sort >wanted <<'END'
{"key":"k1","value":"MARKER vé\n\"","headers":[["a","1"],["a",null],["b",""],["bin",{"base64":"AAEC/w=="}]]
{"key":null,"value":"","headers":[]
{"key":null,"value":"","headers":[]
{"key":"","value":"\u009b\u007fx","headers":[]
{"key":null,"value":null,"headers":[]
{"key":{"base64":"/wA="},"value":null,"headers":[]
{"key":"😀","value":"\\u0000","headers":[]
{"key":"no line end","value":null,"headers":[]
END
cmp -s came wanted || fail "$(diff came wanted)"

# What one consumer writes another producer reads.
sed 's/,"partition":.*/}/' out >again
run 0 kfe produce -b "$brokers" -t one -F kfe.conf <again
run 0 kfe consume -b "$brokers" -t one -e -F kfe.conf
sed 's/,"partition":.*/}/' out | cmp -s - again || fail "the copy differs"

# ---- As the broker has them -------------------------------------------------------------
timeout 60 kcat -q -C -b "$brokers" -t t -e -f '%k %s %h\n' >raw
hasnt raw MARKER
has raw kfe=
run 0 kfe inspect -b "$brokers" -t t -e
lines out 8
[ "$(grep -c '"state":"sealed"' out)" = 8 ] || fail "not all are sealed"
has out '"envelopes":[{"format":1,"suite":"A256GCM","key":"orders","version":1,"scope":"field","covered":["key","value","header 0","header 1","header 2","header 3"],"key_state":"sealed","value_state":"sealed","headers":4,"group":0,"groups":1,"session":"derived","committed":false,"counter":'
has out '"key_state":"null","value_state":"null","headers":0,'

# ---- Where to start and stop ------------------------------------------------------------
run 0 kfe consume -b "$brokers" -t one -c 2 -F kfe.conf
lines out 2
has out '"partition":0,"offset":1,'
run 0 kfe consume -b "$brokers" -t one -o 6 -e -F kfe.conf
lines out 2
run 0 kfe consume -b "$brokers" -t one -o end -e -F kfe.conf
lines out 0
run 0 kfe consume -b "$brokers" -t t -p 1 -e -F kfe.conf
hasnt out '"partition":0'
run 1 kfe consume -b "$brokers" -t t -p 3 -e -F kfe.conf
has err "no partition 3"
run 0 kfe inspect -b "$brokers" -t one -o 6 -c 1
has out '"offset":6'
# A reader that has enough ends the run.
timeout 60 kfe consume -b "$brokers" -t one -F kfe.conf 2>err | head -1 >out
[ "${PIPESTATUS[*]}" = "0 0" ] || fail "exit codes ${PIPESTATUS[*]} when the reader leaves"
[ ! -s err ] || fail "complains when the reader leaves"
run 0 kfe produce -b "$brokers" -t order -p 0 -F kfe.conf < <(for i in $(seq 5000); do echo "{\"key\":\"$i\"}"; done)
run 0 kfe consume -b "$brokers" -t order -e -F kfe.conf
sed 's/{"key":"\([0-9]*\)".*/\1/' out | cmp -s - <(seq 5000) || fail "records are missing or out of order"

# ---- Lines that are no records ----------------------------------------------------------
printf '{"key":"1"}\n{"key":"2"}\n{"kye":"SECRET"}\n{"key":"4"}\n' >in
run 1 kfe produce -b "$brokers" -t cut -F kfe.conf <in
has err "line 3: member 1 is neither key, value nor headers"
hasnt err SECRET
has err "2 records were delivered"
run 0 kfe consume -b "$brokers" -t cut -e -F kfe.conf
lines out 2

# ---- Records that cannot be sealed or delivered -----------------------------------------
echo '{"headers":[["kfe","x"]]}' >in
run 2 kfe produce -b "$brokers" -t cut -F kfe.conf <in
has err "line 1: KFE_E_RECORD: "
echo '{"value":"SECRET"}' >in
run 2 kfe produce -b "$brokers" -t cut -F kfe.conf -X encryption.keymanager.default.key=nokey <in
has err "line 1: KFE_E_KEY_UNKNOWN: "
hasnt err SECRET
head -c 5000 /dev/zero | tr '\0' x | sed 's/^/{"value":"/; s/$/"}/' >in
run 2 kfe produce -b "$brokers" -t cut -F kfe.conf -X message.max.bytes=4000 <in
has err "line 1: "
run 0 kfe consume -b "$brokers" -t cut -e -F kfe.conf
lines out 2
printf '{"key":"1"}\n{"key":"2"}\n' >in
run 2 kfe produce -b 127.0.0.1:1 -t dead -F kfe.conf -X message.timeout.ms=1000 <in
has err "not delivered: dead"
has err "2 of 2 records were not delivered"
run 1 kfe produce -b "$brokers" -t cut -F kfe.conf -X compression.codec=zstd <in
has err KFE_E_CONFIG

# ---- A full queue is waited for ---------------------------------------------------------
seq 2000 | sed 's/.*/{"key":"&"}/' >in
run 0 kfe produce -b "$brokers" -t one -F kfe.conf -X queue.buffering.max.messages=10 -X linger.ms=0 <in

# ---- A signal: what was accepted is delivered; statistics until then ---------------------
mkfifo lines.in
kfe produce -b "$brokers" -t sig -F kfe.conf -X encryption.statistics.interval.ms=10 <lines.in >out 2>err &
child=$!
exec 8>lines.in
printf '{"key":"1"}\n{"key":"2"}\n' >&8
got=0
timeout 60 kfe consume -b "$brokers" -t sig -c 2 -F kfe.conf >came 2>&1 || got=$?
[ $got = 0 ] || fail "the two records never came: $got $(cat came)"
tries=0
until grep -q '^{"name":"kfe",.*"seal":{"calls":[0-9]*,"records":2,.*"sealing":\[{"key":"orders"' err; do
    [ $((tries += 1)) -lt 1200 ] || fail "no statistics of the two records"
    sleep 0.05
done
kill -TERM $child
kill -TERM $child 2>/dev/null || true # as timeout(1) does: it must not cut the flush off
got=0
wait $child || got=$?
child=
exec 8>&-
[ $got = 0 ] || fail "a signal gives exit code $got"
has err "2 records were delivered"

# A later signal kills, also while the flush waits for a broker that is not there.
kfe produce -b 127.0.0.1:1 -t sig -F kfe.conf <lines.in >out 2>err &
child=$!
seq 20000 | sed 's/.*/{"key":"&"}/' >lines.in # more than a pipe holds: some are accepted by now
tries=0
while kill -TERM $child 2>/dev/null; do
    [ $((tries += 1)) -lt 1200 ] || fail "signals do not kill"
    sleep 0.05
done
got=0
wait $child || got=$?
child=
[ $got = 143 ] || fail "killed, the exit code is $got"
