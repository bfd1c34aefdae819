# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of the command share. A test is called as: test.sh BIN, the folder of the built
# programs.
set -eu

. "$(dirname "${BASH_SOURCE[0]}")/../support/shell.sh" command
PATH=$1:$PATH
unset KFE_CONFIG
umask 077

# hasnt FILE TEXT; lines FILE N
hasnt() { ! grep -qF -e "$2" "$1" || fail "\"$2\" in $1"; }
lines() { [ "$(wc -l <"$1")" = "$2" ] || fail "$1 has $(wc -l <"$1") lines, not $2"; }

# Starts a mock cluster with these TOPIC:PARTITIONS; sets $brokers. It dies with this shell.
start_mock() {
    mkfifo mock.in mock.out
    exec 7<>mock.in
    mock_cluster "$@" <mock.in >mock.out 7<&- &
    started+=($!)
    read -r brokers <mock.out
}

# A keystore in a file, with the key `orders`, and kfe.conf for it.
make_keystore() {
    cat >kfe.conf <<END
encryption.keyprovider.class=file
encryption.keyprovider.file.path=$dir/keys.json
encryption.keymanager.class=topic
encryption.keymanager.default.key=orders
END
    run 0 kfe keys create orders -F kfe.conf
}

# A fresh SoftHSM token `test` with the PIN 13572468, and kfe.conf for it; sets $module.
make_token() {
    module=$(ls /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so 2>/dev/null | head -n 1)
    [ -n "$module" ] || lacks SoftHSM
    mkdir tokens
    export SOFTHSM2_CONF=$dir/softhsm2.conf
    printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$dir/tokens" >softhsm2.conf
    softhsm2-util --init-token --free --label test --so-pin 87654321 --pin 13572468 >/dev/null
    printf 13572468 >pin
    cat >kfe.conf <<END
encryption.keyprovider.class=pkcs11
encryption.keyprovider.pkcs11.uri=pkcs11:token=test?module-path=$module
encryption.keyprovider.pkcs11.pin=file:$dir/pin
END
}
