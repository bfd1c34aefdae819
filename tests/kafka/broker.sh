#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A real Apache Kafka for a test: one node (KRaft), on loopback, in a folder of its own.
#
#   . tests/kafka/broker.sh         in a script:
#   broker_start DIR                 sets and exports KFE_BROKER=host:port; data in DIR/data
#   broker_stop                      also by a trap, should the test fail
#   broker_kill; broker_run DIR      a broker that dies and comes back, with its data, on another port
#
#   tests/kafka/broker.sh COMMAND...    runs COMMAND with KFE_BROKER set, then stops the broker
#
# Exit 77 (skipped) when Kafka or Java is missing; 1 instead with KFE_NO_SKIP=1. The broker dies
# with the shell that started it.

broker_jars=${KFE_KAFKA_HOME:-$(ls -d "${XDG_CACHE_HOME:-${HOME:-/root}/.cache}"/kfe/kafka-*[0-9] 2>/dev/null | tail -n 1)}
broker_java=(java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1
    -Dorg.slf4j.simpleLogger.defaultLogLevel=error
    -Dorg.slf4j.simpleLogger.log.kafka.network.DataPlaneAcceptor=info
    -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info
    -cp "$broker_jars/*")
broker_pid=

# broker_lacks WHAT: what `./dev deps` installs is not here.
broker_lacks() {
    echo "skipped: no $* here (./dev deps installs it)"
    [ "${KFE_NO_SKIP:-}" = 1 ] && exit 1
    exit 77
}

# broker_need PROGRAM...: what a test cannot do without.
broker_need() {
    local program
    for program; do command -v "$program" >/dev/null || broker_lacks "$program"; done
    ls "$broker_jars"/kafka_*.jar >/dev/null 2>&1 || broker_lacks 'Apache Kafka'
}

# The controller's port cannot be 0, so a free one is picked; a broker that loses it to another
# program in between does not start and is tried again.
broker_free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

broker_properties() {
    cat <<CONF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$2
listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:$2
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$1/data
num.partitions=1
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=2000000
CONF
}

# Waits, a minute at most, for the line that says it serves. Fails when the broker has ended.
broker_wait() {
    local tries=600
    until grep -qs 'Kafka Server started' "$1/broker.log"; do
        kill -0 "$broker_pid" 2>/dev/null || return 1
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.1
    done
}

# Starts the broker of a folder that is formatted, and learns its port.
broker_run() {
    local dir=$1 port
    : >"$dir/broker.log" # what is read below is not of an earlier run
    setpriv --pdeathsig KILL "${broker_java[@]}" kafka.Kafka "$dir/server.properties" \
        >"$dir/broker.log" 2>&1 &
    broker_pid=$!
    broker_wait "$dir" || { broker_stop; return 1; }
    # The first such line is the controller's, the last the broker's.
    port=$(sed -n 's/.*Awaiting socket connections on 127.0.0.1:\([0-9]*\)\..*/\1/p' "$dir/broker.log" | tail -n 1)
    [ -n "$port" ] || { broker_stop; return 1; }
    export KFE_BROKER=127.0.0.1:$port
}

broker_try() {
    local dir=$1 port
    port=$(broker_free_port) || return 1
    rm -rf "$dir/data"
    broker_properties "$dir" "$port" >"$dir/server.properties"
    "${broker_java[@]}" kafka.tools.StorageTool format -t "$broker_cluster" \
        -c "$dir/server.properties" >"$dir/format.log" 2>&1 || return 1
    broker_run "$dir"
}

broker_start() {
    broker_need java setpriv /usr/bin/python3
    local dir broker_cluster try
    dir=$(mkdir -p "$1" && cd "$1" && pwd)
    # No '-' in it: a first one would be taken for an option.
    broker_cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' 'ab' | tr -d '=')
    for try in 1 2 3; do
        broker_try "$dir" && return 0
        echo "broker: start $try of 3 failed:" >&2
        tail -n 20 "$dir"/*.log >&2
    done
    return 1
}

# As a power cut would.
broker_kill() {
    kill -KILL "$broker_pid"
    wait "$broker_pid" 2>/dev/null || true
    broker_pid=
}

# Asks, waits ten seconds, insists.
broker_stop() {
    [ -n "$broker_pid" ] || return 0
    local tries=100
    kill "$broker_pid" 2>/dev/null || true
    while kill -0 "$broker_pid" 2>/dev/null; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || kill -KILL "$broker_pid" 2>/dev/null || true
        sleep 0.1
    done
    wait "$broker_pid" 2>/dev/null || true
    broker_pid=
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    [ $# -gt 0 ] || { echo "usage: broker.sh COMMAND..." >&2; exit 2; }
    broker_dir=$(mktemp -d)
    trap 'broker_stop; rm -rf "$broker_dir"' EXIT
    trap 'exit 130' INT TERM
    broker_start "$broker_dir" || exit 1
    export KFE_BROKER_DATA=$broker_dir/data
    "$@"
fi
