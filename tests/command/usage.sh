#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Does the command explain itself, and refuse what it does not know?
. "$(dirname "$0")/lib.sh"

run 0 kfe --help
for verb in keys produce consume inspect doctor; do
    has out "  $verb "
    run 0 kfe $verb --help
    has out "Usage: kfe $verb"
    [ ! -s err ] || fail "kfe $verb --help writes to stderr"
    run 0 kfe $verb -h
    run 0 kfe --help
done
run 0 kfe --version
has out "librdkafka"

run 1 kfe
has err "Usage: kfe VERB"
run 1 kfe nonsense
has err 'no verb "nonsense"'
run 1 kfe consume -z
has err "no option -z"
run 1 kfe consume --nonsense
has err "no such option"
run 1 kfe consume -t
has err "option -t wants a value"
run 1 kfe produce -e
has err "takes no option -e"
run 1 kfe consume -t t
has err "no brokers"
run 1 kfe consume -b localhost:1
has err "no topic"
run 1 kfe consume -b localhost:1 -t t extra
has err "no argument"
for bad in 0 -1 x 1x 99999999999999999999; do
    run 1 kfe consume -b localhost:1 -t t -c $bad
    has err "option -c wants"
done
for bad in -1 x 2147483648 1.5; do
    run 1 kfe consume -b localhost:1 -t t -p $bad
    has err "option -p wants"
done
run 1 kfe consume -b localhost:1 -t t -o middle
has err "option -o wants"
run 1 kfe consume -b localhost:1 -t t -X =secret
has err "option -X wants name=value"
hasnt err secret
run 1 kfe consume -b localhost:1 -t t -X no.such.option=1
has err "no.such.option"
run 1 kfe consume -b localhost:1 -t t -X encryption.keyprovider.clas=file
has err KFE_E_CONFIG
has err "encryption.keyprovider.class"
run 1 kfe consume -b localhost:1 -t t -F no-such-file
has err KFE_E_IO
run 1 env KFE_CONFIG=no-such-file kfe consume -b localhost:1 -t t
has err KFE_E_IO

if [ -e /dev/full ]; then
    got=0
    kfe --help >/dev/full 2>err || got=$?
    [ $got = 1 ] || fail "a full stdout gives exit code $got"
    has err "cannot write to stdout"
    lines err 1
fi

# Without a KeyManager nothing would be sealed: said, and nothing sent. No broker is needed for that.
printf 'encryption.keyprovider.class=file\nencryption.keyprovider.file.path=%s/none.json\n' "$dir" >bare.conf
echo '{"value":"secret"}' >in
run 1 kfe produce -b 127.0.0.1:1 -t t -F bare.conf <in
has err 'encryption.keymanager.class'
