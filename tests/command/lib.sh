# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of the command share. A test is called as: test.sh BIN, the folder of the built
# programs. Everything stands in a folder of its own, $dir, which is the current one.
set -eu

PATH=$1:$PATH
unset KFE_CONFIG
umask 077
dir=$(mktemp -d "${TMPDIR:-/tmp}/kfe-command.XXXXXX")
cd "$dir"
mock=
child= # a process that a test has in the background

finish() {
    status=$?
    trap - EXIT INT TERM
    set +e
    for process in $child $mock; do
        kill -9 "$process" && wait "$process"
    done 2>/dev/null
    if [ $status != 0 ] && [ $status != 77 ]; then
        for file in out err; do
            [ -e $file ] && sed "s/^/  $file: /" $file
        done
    fi
    rm -rf "$dir"
    exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
    echo "FAILED: $*"
    exit 1
}

skip() {
    echo "skipped: $*"
    exit 77
}

# run CODE COMMAND...: its exit code must be CODE; its outputs are in `out` and `err`. stdin is
# what the test gives. No run may take longer than a minute.
run() {
    wanted=$1
    shift
    got=0
    timeout 60 "$@" >out 2>err || got=$?
    [ $got = "$wanted" ] || fail "exit code $got, not $wanted: $*"
}

# has FILE TEXT; hasnt FILE TEXT; lines FILE N
has() { grep -qF -e "$2" "$1" || fail "no \"$2\" in $1"; }
hasnt() { ! grep -qF -e "$2" "$1" || fail "\"$2\" in $1"; }
lines() { [ "$(wc -l <"$1")" = "$2" ] || fail "$1 has $(wc -l <"$1") lines, not $2"; }

# Starts a mock cluster with these TOPIC:PARTITIONS; sets $brokers. It dies with this shell.
start_mock() {
    mkfifo mock.in mock.out
    exec 7<>mock.in
    mock_cluster "$@" <mock.in >mock.out 7<&- &
    mock=$!
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
