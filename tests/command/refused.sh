#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Are records that cannot be opened refused, one by one, and told?
. "$(dirname "$0")/lib.sh"
command -v kcat >/dev/null || lacks kcat
start_mock mixed:1
make_keystore

put() { echo '{"value":"good '"$1"'"}' | timeout 60 kfe produce -b "$brokers" -t mixed -F kfe.conf; }
put 0
echo clear | timeout 60 kcat -q -P -b "$brokers" -t mixed
echo forged | timeout 60 kcat -q -P -b "$brokers" -t mixed -H kfe=nonsense
put 3

run 2 kfe consume -b "$brokers" -t mixed -e -F kfe.conf
lines out 1
has out '"value":"good 0"'
has err "mixed [0] @1: KFE_E_UNENCRYPTED: "
hasnt err "@2"
lines err 1

run 2 kfe consume -b "$brokers" -t mixed -e -F kfe.conf -X encryption.consumer.on.error=skip
lines out 2
has out '"value":"good 3"'
has err "mixed [0] @1: KFE_E_UNENCRYPTED: "
has err "mixed [0] @2: KFE_E_AUTH: "
lines err 2

run 0 kfe consume -b "$brokers" -t mixed -o 3 -e -F kfe.conf
lines out 1

# inspect tells the three kinds apart, with no key at hand.
run 2 kfe inspect -b "$brokers" -t mixed -e
lines out 4
[ "$(sed 's/.*"state":"\([a-z]*\)".*/\1/' out | tr '\n' ' ')" = "sealed clear malformed sealed " ] ||
    fail "states differ"
has out '"offset":1,'
has out '"envelopes":[],"error":"'

# A destroyed key.
run 0 kfe keys destroy orders@1 --yes -F kfe.conf
run 2 kfe consume -b "$brokers" -t mixed -c 1 -F kfe.conf
has err "mixed [0] @0: KFE_E_KEY_DESTROYED: "
lines out 0
