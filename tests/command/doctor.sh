#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Does the doctor tell what works from what does not?
. "$(dirname "$0")/lib.sh"
unset KFE_BACKEND
start_mock t:1

run 0 kfe doctor
for what in kfe cpu backends backend openssl librdkafka "locked memory" "key provider" broker; do
    grep -qE "^(ok|warn|FAIL) +$what " out || fail "no line on $what"
done
has out "ok    backends"
has out ": the best that runs here"
has out "ok    openssl       OpenSSL 3."

KFE_BACKEND=openssl run 0 kfe doctor
has out "ok    backend       openssl: KFE_BACKEND names it"
KFE_BACKEND=none-such run 1 kfe doctor
has out "FAIL  backend       no backend is named none-such"
run 0 kfe doctor -X encryption.backend=openssl
has out "ok    backend       openssl: encryption.backend names it"
run 0 kfe doctor -X encryption.openssl.propquery=provider=default
has out "ok    backend       openssl: encryption.openssl.propquery"

make_keystore
run 0 kfe doctor -F kfe.conf -b "$brokers"
has out "ok    key provider  file"
has out "ok    keys          1 versions, 1 active"
has out "ok    engine"
has out "ok    broker        1 brokers"
hasnt out FAIL
run 0 kfe doctor -F kfe.conf --stats -X encryption.keymanager.class=topic -X encryption.keymanager.default.key=orders
grep -qE '"records":[[:space:]]+1000' out || fail "the records that were tried are not counted"
has out '"get_current_key"'

run 0 kfe keys retire orders@1 -F kfe.conf
run 0 kfe doctor -F kfe.conf
has out "warn  keys          1 versions, none active"

chmod 644 keys.json
run 1 kfe doctor -F kfe.conf
has out "FAIL  key provider"
chmod 600 keys.json

run 1 kfe doctor -F kfe.conf -b 127.0.0.1:1
has out "FAIL  broker"

run 1 kfe doctor -F kfe.conf -X encryption.encrypt.keys=deterministic
has out "FAIL  engine"
has out KFE_E_CONFIG
run 1 kfe doctor extra
