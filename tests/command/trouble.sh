#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Does `kfe` say what to do when a token is not as it should be, and can it always be stopped?
. "$(dirname "$0")/lib.sh"
[ "${2:-}" = pkcs11 ] || skip "this build knows no tokens"
make_token
run 0 kfe keys create orders -F kfe.conf
fault=$1/../lib/kfe-test-fault.so
export KFE_FAULT_MODULE=$module

# uri URI: kfe.conf's, but for that
uri() { sed "s|^\(encryption.keyprovider.pkcs11.uri\)=.*|\1=$1|" kfe.conf >other.conf; }

# says TEXT...: `kfe keys` and the doctor do, of other.conf
says() {
    run 1 kfe keys list -F other.conf
    for text; do has err "$text"; done
    hasnt out "orders"
    run 1 kfe doctor -F other.conf
    for text; do has out "$text"; done
    has out "FAIL  key provider"
}

wrong_place() {
    uri "pkcs11:token=none?module-path=$module"
    says KFE_E_PROVIDER "no token matches" "but there is pkcs11:" "token=test"
    uri "pkcs11:token=test?module-path=/no/such.so"
    says KFE_E_CONFIG "module-path" "/no/such.so: No such file"
    uri "pkcs11:token=test?module-path=$dir"
    says KFE_E_CONFIG "cannot load the PKCS#11 module"
    uri "pkcs11:token=test?module-path=$dir/kfe.conf"
    says KFE_E_CONFIG "cannot load the PKCS#11 module"
    uri "pkcs11:token=test?module-path=$(realpath "$1"/../lib/libkfe.so)"
    says KFE_E_CONFIG "is no PKCS#11 module"
    uri "pkcs11:token=test"
    says KFE_E_CONFIG "module-path=/ABSOLUTE/PATH"
    mkdir empty # a module without a token
    printf 'directories.tokendir = %s\n' "$dir/empty" >empty.conf
    uri "pkcs11:token=test?module-path=$module"
    SOFTHSM2_CONF=empty.conf says KFE_E_PROVIDER "shows no token"
}

wrong_pin() {
    cp kfe.conf other.conf
    printf 00000000 >pin
    says KFE_E_CREDENTIALS CKR_PIN_INCORRECT
    : >pin
    says KFE_E_CONFIG "the secret is empty"
    rm pin
    says KFE_E_IO "$dir/pin cannot be opened"
    printf 13572468 >pin
    chmod 644 pin
    says KFE_E_CONFIG "chmod 400"
    chmod 600 pin
    grep -v pkcs11.pin kfe.conf >other.conf
    run 1 setsid kfe keys list -F other.conf </dev/null
    has err "set it to env:NAME or file:PATH"
    uri "pkcs11:token=test?module-path=$(realpath "$fault")"
    KFE_FAULT=locked says KFE_E_CREDENTIALS "locked its user PIN" "security officer"
    KFE_FAULT=final says KFE_E_CREDENTIALS "locks at the next wrong PIN" "log in once by hand"
}

# Whichever is meant, the line has what to write.
same_label() {
    softhsm2-util --init-token --free --label test --so-pin 87654321 --pin 13572468 >/dev/null
    cp kfe.conf other.conf
    says KFE_E_CONFIG "2 tokens match" "serial"
    local found=0 one
    for one in $(grep -o 'pkcs11:[^ ,]*' out | grep -v module-path); do
        uri "$one?module-path=$module"
        run 0 kfe keys list -F other.conf
        grep -q ^orders out && found=$((found + 1))
    done
    [ $found = 1 ] || fail "$found of these tokens have the key"
}

no_locked_memory() {
    local none=(bash -c 'ulimit -S -l 0 && exec "$@"' -)
    [ "$(id -u)" != 0 ] || none+=(setpriv --bounding-set=-ipc_lock)
    { cat kfe.conf && printf 'encryption.keymanager.%s\n' class=topic default.key=orders; } >other.conf
    run 1 "${none[@]}" kfe doctor -F other.conf
    has out "FAIL  locked memory"
    grep -q "^FAIL .*KFE_E_MEMORY" out || fail "the doctor does not see what keys lack"
    has out "ulimit -l"
    run 1 "${none[@]}" kfe produce -b 127.0.0.1:1 -t t -F other.conf </dev/null
    has err "ulimit -l"
}

states() {
    run 1 kfe keys create orders -F kfe.conf
    has err "\`kfe keys rotate\`"
    run 1 kfe keys rotate none -F kfe.conf
    has err "\`kfe keys create\`"
    run 1 kfe keys retire none@1 -F kfe.conf
    has err "KFE_E_KEY_UNKNOWN"
    run 0 kfe keys retire orders@1 -F kfe.conf
    run 0 kfe keys retire orders@1 -F kfe.conf # it is what was wanted
    try_to_seal "every version of key orders is retired: make a new one by \`kfe keys rotate\`"
    run 0 kfe keys destroy orders@1 --yes -F kfe.conf
    run 0 kfe keys destroy orders@1 --yes -F kfe.conf
    run 1 kfe keys retire orders@1 -F kfe.conf
    has err "KFE_E_KEY_DESTROYED"
    try_to_seal "every version of key orders was destroyed: make a new one by \`kfe keys rotate\`"
    run 0 kfe keys rotate orders -F kfe.conf
    try_to_seal "key orders@2 cannot wrap sessions: it was made for another kind" \
        -X encryption.keyprovider.pkcs11.session=wrapped
    try_to_seal "no private key object with label none: make it by \`kfe keys create\`" -X encryption.keymanager.default.key=none
}

# try_to_seal TEXT OPTION...: the doctor cannot, and says why
try_to_seal() {
    local text=$1
    shift
    run 1 kfe doctor --stats -F kfe.conf -X encryption.keymanager.class=topic \
        -X encryption.keymanager.default.key=orders "$@"
    grep '^FAIL  stats ' out | grep -qF "$text" || fail "the doctor does not say \"$text\""
}

hang() {
    uri "pkcs11:token=test?module-path=$(realpath "$fault")"
    local call ms=200
    for call in initialize generate; do
        KFE_FAULT=$call run 1 kfe keys create new -F other.conf -X encryption.keyprovider.pkcs11.timeout.ms=$ms
        has err "KFE_E_PROVIDER: the HSM did not answer within $ms ms"
        rm hangs
        ms=3000 # all before it has to be in time, on a busy machine, too
    done
    has err "\`kfe keys list\`" # what became of a key that may be there
    run 0 kfe keys list -F kfe.conf
    ! grep -q ^new out || fail 'a key is there that nobody has seen whole' # it gets its id at last
    run 0 kfe keys create new -F kfe.conf

    # A signal ends it at once, long before any deadline, where there is nothing to end cleanly.
    printf 'encryption.keymanager.%s\n' class=topic default.key=orders >>other.conf
    ends_at INT "find" kfe keys list
    ends_at TERM "find" kfe keys rotate orders
    ends_at INT initialize kfe doctor
    ends_at INT initialize kfe produce -b 127.0.0.1:1 -t t
    ends_at TERM initialize kfe consume -b 127.0.0.1:1 -t t
}

# ends_at SIGNAL CALL COMMAND...: while that call hangs
ends_at() {
    local signal=$1 call=$2 got=0
    shift 2
    KFE_FAULT=$call env --default-signal=INT "$@" -F other.conf \
        -X encryption.keyprovider.pkcs11.timeout.ms=20000 </dev/null >out 2>err &
    child=$!
    until [ -L hangs ]; do kill -0 $child || fail "it does not hang: $*"; done
    kill -"$signal" $child
    wait $child || got=$?
    child=
    [ $got = $((128 + $(kill -l "$signal"))) ] || fail "exit code $got after SIG$signal: $*"
    rm hangs
}

wrong_place "$1"
wrong_pin
hang
states
no_locked_memory
same_label
