#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Who may include whom:
#   kafka, pkcs11   public <kfe/...> headers, and private ones of their own
#   engine          nothing above it: no Kafka, no HSM, no instruction set
#   intel, arm      engine/backend.h, the shared GCM template, and private headers of their own
#   public headers  public headers alone, and they stand in <folder>/include/kfe/
#   tests, bench    anything
. "$(dirname "$0")/lint.sh"

allowed() {
    case $1:$2 in
    *include/kfe/*:\"*) return 1 ;;
    *include/kfe/*:'<'*) ;;
    kafka/*:\"kafka/*\" | pkcs11/*:\"pkcs11/*\" | engine/*:\"engine/*\") ;;
    intel/*:\"intel/*\" | arm/*:\"arm/*\") ;;
    intel/*:\"engine/backend.h\" | arm/*:\"engine/backend.h\") ;;
    intel/*:\"engine/gcm*.inc\" | arm/*:\"engine/gcm*.inc\") ;;
    kafka/*:\"* | pkcs11/*:\"* | engine/*:\"* | intel/*:\"* | arm/*:\"*) return 1 ;;
    esac
    case $1:$2 in
    intel/*:'<kfe/'* | arm/*:'<kfe/'*) return 1 ;;
    engine/*:'<kfe/kafka.h>' | engine/*:'<kfe/pkcs11.h>') return 1 ;;
    kafka/*:'<kfe/pkcs11.h>' | pkcs11/*:'<kfe/kafka.h>') return 1 ;;
    engine/*:*librdkafka* | engine/*:*p11* | engine/*:*intrin.h\> | engine/*:*arm_*) return 1 ;;
    kafka/*:*p11-kit* | kafka/*:*libp11* | pkcs11/*:*librdkafka*) return 1 ;;
    esac
}

{
    files '*.c' '*.h' '*.inc' | xargs -r grep -HnoE '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<][^">]*[">]' |
        sed -E 's/:[[:space:]]*#[[:space:]]*include[[:space:]]*/ /; s/:([0-9]+) / \1 /' |
        while read -r file line target; do
            allowed "$file" "$target" || echo "$file:$line: may not include $target"
        done || true
    files '*/include/*' | grep -Ev '^(engine|kafka|pkcs11)/include/kfe/[a-z0-9_]+\.h$' |
        sed 's/$/:1: public headers stand in <folder>\/include\/kfe\//' || true
} | verdict 'forbidden includes'
