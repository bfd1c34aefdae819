#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tls.sh MODULES WITNESS: TLS 1.2 and 1.3 between s_server and s_client, kfe.so on both sides and on
# one, by configuration alone. A file goes either way, and a witness tells whose cipher it was.
. "$(dirname "$0")/lib.sh"
witness=$2
size=700000
configure
head -c $size /dev/urandom | base64 >up.txt
head -c $size /dev/urandom >down.bin
printf 'GET /down.bin HTTP/1.0\r\n\r\n' >request
run 0 openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 1 \
    -keyout key.pem -out cert.pem
mkfifo held pipe
exec 8<>held # a standard input that never ends

# side NAME WHO COMMAND...: takes the place of this shell, with kfe.so or without.
side() {
    local name=$1 conf=/dev/null
    [ "$2" != kfe ] || conf=$dir/openssl.cnf
    shift 2
    rm -f "$name.seen"
    OPENSSL_CONF=$conf LD_PRELOAD=$witness KFE_WITNESS=$dir/$name.seen exec timeout 60 "$@"
}

# serve WHO OPTION...: for one connection. Sets $port, $server and $collector.
serve() {
    local who=$1 line
    shift
    side server "$who" openssl s_server -accept 127.0.0.1:0 -naccept 1 -cert cert.pem -key key.pem "$@" \
        <&8 >pipe 2>server.log &
    server=$!
    exec 7<pipe
    port=
    while [ -z "$port" ]; do
        read -r line <&7 || fail 'the server does not start'
        [[ $line != ACCEPT* ]] || port=${line##*:}
    done
    cat <&7 >server.out 7<&- &
    collector=$!
    exec 7<&-
    started=("$server" "$collector")
}

# connect WHO OPTION...
connect() {
    local who=$1
    shift
    (side client "$who" openssl s_client -connect "127.0.0.1:$port" -CAfile cert.pem -verify_return_error "$@" \
        2>client.log) || fail 'the client fails'
    wait "$server" || fail 'the server fails'
    wait "$collector"
    started=()
}

# seen SIDE WHO CIPHER: that, and no other; sealing and opening.
seen() {
    [ "$(wc -l 2>/dev/null <"$1.seen" || echo 0)" -ge 2 ] || fail "$1: AES-GCM was not seen both ways"
    ! grep -vx "$2 $3" "$1.seen" || fail "$1: not $2 $3"
}

# try SERVER CLIENT CIPHER OPTION...
try() {
    local server_side=$1 client_side=$2 cipher=$3
    shift 3
    echo "-- $*: server $server_side, client $client_side"
    serve "$server_side" -WWW
    connect "$client_side" -quiet "$@" <request >client.out
    tail -c $size client.out | cmp - down.bin || fail 'another file comes down'
    seen server "$server_side" "$cipher"
    seen client "$client_side" "$cipher"
    serve "$server_side"
    connect "$client_side" -nocommands -quiet -no_ign_eof "$@" <up.txt >client.out
    grep -xE '[A-Za-z0-9+/]{76}' server.out | cmp - <(grep -xE '.{76}' up.txt) || fail 'another file goes up'
    seen server "$server_side" "$cipher"
    seen client "$client_side" "$cipher"
}

for sides in 'kfe kfe' 'kfe default' 'default kfe'; do
    read -r server_side client_side <<<"$sides"
    try "$server_side" "$client_side" AES-128-GCM -tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256
    try "$server_side" "$client_side" AES-256-GCM -tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384
    try "$server_side" "$client_side" AES-128-GCM -tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256
    try "$server_side" "$client_side" AES-256-GCM -tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384
done
