#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Does the broker fixture give a broker that stores and serves records, and leave nothing behind?
set -eu
. "$(dirname "$0")/broker.sh"

dir=$(mktemp -d)
trap 'broker_stop; rm -rf "$dir"' EXIT
broker_need kcat
broker_start "$dir"
pid=$broker_pid

printf 'k1:marker-in-clear\n' | kcat -b "$KFE_BROKER" -P -t fixture -K: -H tenant=acme
got=$(kcat -b "$KFE_BROKER" -C -t fixture -e -q -f '%k|%s|%h\n')
[ "$got" = 'k1|marker-in-clear|tenant=acme' ] || { echo "consumed: $got"; exit 1; }
# The check that other tests rely on when they look for plaintext at rest.
grep -rqa marker-in-clear "$dir/data" || { echo "nothing is stored in $dir/data"; exit 1; }

broker_stop
if kill -0 "$pid" 2>/dev/null; then
    echo "the broker lives on as $pid"
    exit 1
fi

# The other form, and that it hands on its command's exit code.
code=0
"$(dirname "$0")/broker.sh" sh -c 'kcat -b "$KFE_BROKER" -L >/dev/null && exit 5' || code=$?
[ $code = 5 ] || { echo "broker.sh COMMAND gave $code"; exit 1; }
