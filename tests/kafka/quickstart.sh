#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# quickstart.sh README FOLDER-OF-KFE: does the quick start do what it says? Runs its shell block as
# it stands, but for the broker's address.
set -euo pipefail
readme=$(realpath "$1")
PATH=$(realpath "$2"):$PATH
. "$(dirname "$0")/broker.sh"

dir=$(mktemp -d)
trap 'broker_stop; rm -rf "$dir"' EXIT
broker_start "$dir/broker"
cd "$dir"

awk '/^```sh$/ { on = 1; next } /^```$/ { on = 0 } on' "$readme" >quickstart
grep -qF 127.0.0.1:9092 quickstart || { echo "$readme: no quick start"; exit 1; }
sed -i "s/127\.0\.0\.1:9092/$KFE_BROKER/g" quickstart
bash -eu quickstart >out 2>err || { cat out err; echo 'the quick start failed'; exit 1; }
cat out

# The consumer sees the record; without the key only the envelope shows; nothing lies in clear.
want() { grep -qF -- "$1" out || { cat err; echo "the output lacks $1"; exit 1; }; }
want 'two teapots'
want 'order-1'
want 'acme'
want 'A256GCM'
want 'shop'
for secret in 'two teapots' order-1 acme; do
    if grep -rqaF "$secret" broker/data; then
        echo "the broker stored '$secret' in clear"
        exit 1
    fi
done
grep -rqaF tenant broker/data || { echo 'the broker stored nothing'; exit 1; }
