#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Does `kfe keys` lead a key through its life, in a file and in a token?
. "$(dirname "$0")/lib.sh"

# state NAME VERSION: its state in the list in `out`
state() { awk -v n="$1" -v v="$2" '$1 == n && $2 == v { print $3 }' out; }
is() {
    run 0 kfe keys list -F kfe.conf
    [ "$(state "$1" "$2")" = "$3" ] || fail "$1@$2 is \"$(state "$1" "$2")\", not $3"
}

life() {
    run 0 kfe keys create orders -F kfe.conf
    has out "orders@1 active"
    is orders 1 active
    run 1 kfe keys create orders -F kfe.conf
    has err KFE_E_
    run 0 kfe keys rotate orders -F kfe.conf
    has out "orders@2 active"
    is orders 2 active
    run 1 kfe keys rotate missing -F kfe.conf
    has err KFE_E_KEY_UNKNOWN
    run 0 kfe keys retire orders@1 -F kfe.conf
    has out "orders@1 decrypt-only"
    is orders 1 decrypt-only
    is orders 2 active

    # Destroying wants a yes; without a terminal there is only --yes.
    run 1 setsid kfe keys destroy orders@1 -F kfe.conf </dev/null
    has err "not confirmed"
    is orders 1 decrypt-only
    run 0 kfe keys destroy orders 1 --yes -F kfe.conf
    has out "orders@1 destroyed"
    is orders 1 destroyed
    is orders 2 active

    run 1 kfe keys retire orders@9 -F kfe.conf
    has err KFE_E_KEY_UNKNOWN
}

arguments() {
    for action in retire destroy; do
        for bad in orders orders@ orders@0 orders@01 orders@x orders@4294967296 @1; do
            run 1 kfe keys $action $bad --yes -F kfe.conf
            has err KFE_E_
        done
        run 1 kfe keys $action --yes -F kfe.conf
        run 1 kfe keys $action orders 2 3 --yes -F kfe.conf
        run 1 kfe keys $action orders@2 2 3 --yes -F kfe.conf
    done
    run 1 kfe keys -F kfe.conf
    run 1 kfe keys make orders -F kfe.conf
    run 1 kfe keys create -F kfe.conf
    run 1 kfe keys create a b -F kfe.conf
    run 1 kfe keys create "" -F kfe.conf
    run 1 kfe keys create "$(printf 'a\nb')" -F kfe.conf
    run 1 kfe keys create "$(printf '%300s' x)" -F kfe.conf
    run 1 kfe keys list orders -F kfe.conf
    run 1 kfe keys list
    has err encryption.keyprovider.class
    is orders 2 active
}

# The next version of NAME from 32 bytes in a file; nothing of it is told.
import_plain() {
    head -c 32 /dev/urandom >plain.key
    run 0 kfe keys import "$1" plain.key -F kfe.conf
    has out "$1@1 active"
    has err WARNING
    hasnt err "$(od -An -tx1 plain.key | tr -d ' \n')"
    run 0 kfe keys import "$1" plain.key -F kfe.conf
    has out "$1@2 active"
    head -c 31 plain.key >short.key
    cat plain.key short.key >long.key
    for bad in short.key long.key /dev/null none.key; do
        run 1 kfe keys import "$1" $bad -F kfe.conf
        has err KFE_E_
    done
    run 1 kfe keys import "$1" -F kfe.conf
    has err KEYFILE
    is "$1" 2 active
}

cat >kfe.conf <<END
encryption.keyprovider.class=file
encryption.keyprovider.file.path=$dir/keys.json
END
life
arguments
# A name may hold an @ itself.
run 0 kfe keys create team@orders -F kfe.conf
run 0 kfe keys retire team@orders@1 -F kfe.conf
is team@orders 1 decrypt-only
import_plain brought
# What is in a file opens what was sealed under the same bytes elsewhere.
grep -q "$(base64 -w0 plain.key)" keys.json || fail "the file does not hold the key that was imported"
run 1 kfe keys probe -F kfe.conf
has err "cannot probe"
run 1 kfe keys create w --kind wrapped -F kfe.conf
has err "derived alone"
run 0 kfe keys create v --kind derived -F kfe.conf
run 1 kfe keys create w --kind none -F kfe.conf
has err "--kind wants"
run 1 kfe keys export-wrapped orders@2 -F kfe.conf
has err "--kek"
run 1 kfe keys export-wrapped orders@2 --kek kek -F kfe.conf
has err "gives out no keys"
# The file that KFE_CONFIG names is read when there is no -F.
run 0 env KFE_CONFIG=kfe.conf kfe keys list
has out team@orders

[ "${2:-}" = pkcs11 ] || exit 0
make_token
life
PIN=13572468 run 0 kfe keys list -F kfe.conf -X encryption.keyprovider.pkcs11.pin=env:PIN
has out orders
# A PIN is never taken from the command line, nor repeated.
run 1 kfe keys list -F kfe.conf -X encryption.keyprovider.pkcs11.pin=13572468
hasnt err 13572468
PIN=24681357 run 1 kfe keys list -F kfe.conf -X encryption.keyprovider.pkcs11.pin=env:PIN
has err KFE_E_CREDENTIALS
hasnt err 24681357
# Without the option it is asked on the terminal; there is none here.
grep -v pin kfe.conf >nopin.conf
run 1 setsid kfe keys list -F nopin.conf </dev/null
has err KFE_E_

import_plain brought
for kind in derived wrapped direct; do
    run 0 kfe keys create $kind --kind $kind -F kfe.conf
    run 0 kfe keys rotate $kind -F kfe.conf
done
run 0 kfe keys probe -F kfe.conf
for line in "yes   HMAC-SHA-256" "yes   AES-256-GCM" "IV as given" "yes   RFC 3394 wrap" \
    "yes   RFC 3394 unwrap" "yes   RSA-OAEP with SHA-1" "no    RSA-OAEP with SHA-256" \
    "yes   session copy" "yes   key derived@2" "yes   key brought@1"; do
    has out "$line"
done
grep -q 'key wrapped@2 .*wrapped' out || fail "rotation made another kind of key"
grep -q 'key direct@2 .*direct' out || fail "rotation made another kind of key"
hasnt out FAIL
run 1 kfe keys export-wrapped derived@1 --kek kek -F kfe.conf
has err "not extractable"

# An RSA key wraps only where that is said to be wanted; its life is that of any other.
rsa_life() {
    run 0 kfe keys create shared --kind rsa -F rsa.conf
    has out "shared@1 active"
    run 1 kfe keys create shared --kind rsa -F rsa.conf
    has err "\`kfe keys rotate\`"
    rsa_put "by one"
    run 0 kfe keys rotate shared -F rsa.conf
    has out "shared@2 active"
    rsa_put "by two"
    run 0 kfe keys list -F rsa.conf
    grep -q '^shared  *2  active .*type=private' out || fail "shared@2 is no private key"
    hasnt out "refused: key shared"
    run 0 kfe keys probe -F rsa.conf
    grep -q '^yes   key shared@2 .*RSA' out || fail "probe does not tell what shared@2 is"

    run 0 kfe keys retire shared@1 -F rsa.conf
    rsa_get 0 "by one" "by two"
    run 0 kfe keys destroy shared@1 --yes -F rsa.conf
    is shared 1 destroyed
    is shared 2 active
    rsa_get 2 "by two"
    has err KFE_E_KEY_DESTROYED
}

rsa_put() { echo "{\"value\":\"$1\"}" | timeout 60 kfe produce -b "$brokers" -t shared -F rsa.conf; }

# rsa_get CODE VALUE...: the exit code, and what comes out.
rsa_get() {
    run "$1" kfe consume -b "$brokers" -t shared -e -F rsa.conf -X encryption.consumer.on.error=skip
    shift
    lines out $#
    for value; do has out "\"value\":\"$value\""; done
}

# Without the option an RSA key is there and does nothing; nor is another one made.
rsa_refused() {
    run 1 kfe keys create other --kind rsa -F kfe.conf
    has err "an RSA key needs encryption.keyprovider.pkcs11.allow.rsa=true"
    is shared 2 active
    has out "refused: key shared@2 is an RSA key"
    run 1 kfe keys probe -F kfe.conf
    has out "FAIL  key shared@2"
    run 1 kfe keys rotate shared -F kfe.conf
    has err "encryption.keyprovider.pkcs11.allow.rsa=true"
    run 2 kfe consume -b "$brokers" -t shared -e -F kfe.conf
    has err KFE_E_AUTH
    lines out 0
    run 0 kfe keys destroy shared@2 --yes -F kfe.conf # to be gone is always allowed
    is shared 2 destroyed
}

start_mock shared:1
{ cat kfe.conf && cat <<END; } >rsa.conf
encryption.keyprovider.pkcs11.allow.rsa=true
encryption.keyprovider.pkcs11.timeout.ms=60000
encryption.keymanager.class=topic
encryption.keymanager.default.key=shared
END
rsa_life
run 1 kfe keys export-wrapped shared@2 --kek kek -F rsa.conf
has err KFE_E_
rsa_refused

command -v pkcs11-tool >/dev/null || lacks pkcs11-tool
p11() { pkcs11-tool --module "$module" --token-label test --login --pin 13572468 "$@" >/dev/null 2>&1; }
p11 --keygen --key-type AES:32 --label kek --id a0000001 --sensitive --private --usage-wrap
p11 --keygen --key-type GENERIC:32 --label loose --id 00000001 --sensitive --private --extractable
run 1 kfe keys probe -F kfe.conf # a key that may leave is refused, and said to be
has out "FAIL  key loose@1"
run 0 kfe keys list -F kfe.conf
has out "refused: key object loose@1 is extractable"
run 0 kfe doctor -F kfe.conf
grep -qE "^warn  keys .*, 1 refused \(" out || fail "the doctor does not tell of loose@1"
run 1 kfe keys export-wrapped loose@1 --kek none -F kfe.conf
has err KFE_E_KEY_UNKNOWN
run 0 kfe keys export-wrapped loose@1 --kek kek -F kfe.conf
grep -qxE '[0-9a-f]{80}' out || fail "not 40 bytes in hexadecimal"
cp out loose.hex
run 0 kfe keys import kept loose.hex --kek kek -F kfe.conf
has out "kept@1 active"
has err WARNING
tr 0-9a-f 1-9a-f0 <loose.hex >bad.hex
run 1 kfe keys import kept bad.hex --kek kek -F kfe.conf
has err "do not unwrap"
run 1 kfe keys import kept /dev/null --kek kek -F kfe.conf
has err hexadecimal
is kept 1 active
run 1 kfe keys retire loose@1 --kek kek # no configuration
run 0 kfe keys destroy loose@1 --yes -F kfe.conf
run 0 kfe keys probe -F kfe.conf
has out "yes   key kept@1"
