#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Does the module load by name, show what it has and no more, and say why when it cannot?
. "$(dirname "$0")/lib.sh"

echo '-- what it shows'
nm -D --defined-only "$modules/kfe.so" | awk '{ print $3 }' >out
[ "$(cat out)" = OSSL_provider_init ] || fail 'kfe.so shows more than OSSL_provider_init'
! readelf -d "$modules/kfe.so" | grep -E 'NEEDED.*(libcrypto|libssl|libkfe)' || fail 'kfe.so needs a library'
run 0 openssl list "${with[@]}" -cipher-algorithms
for name in aes-128-gcm aes-192-gcm aes-256-gcm; do
    grep -qE "$name.* @ kfe\$" out || fail "no $name"
done
run 0 openssl list -providers -verbose "${with[@]}"
has out 'name: kfe'
has out 'status: active'
backend=$(sed -n 's/.*build info: backend //p' out)
[ -n "$backend" ] || fail 'no backend is named'
echo "backend $backend"

echo '-- KFE_BACKEND'
for name in vaes512 vaes256 aesni armv8-eor3 armv8 openssl nonsense; do
    code=0
    KFE_BACKEND=$name openssl list -providers -verbose "${with[@]}" >out 2>err || code=$?
    if [ $code = 0 ]; then
        has out "build info: backend $name"
    else
        [ "$name" != "$backend" ] || fail "$name does not load"
        has err "$name"
    fi
done
KFE_BACKEND=nonsense run 1 openssl list -providers "${with[@]}"
has err 'no backend is named nonsense'
KFE_BACKEND=openssl run 1 openssl list -providers "${with[@]}"
has err 'KFE_BACKEND=openssl'

echo '-- a CPU without AES'
if [ "$(uname -m)" = x86_64 ] && command -v qemu-x86_64 >/dev/null; then
    run 1 qemu-x86_64 -cpu qemu64 "$(command -v openssl)" list -providers "${with[@]}"
    has err 'kfe has no kernel that runs on this CPU'
    run 0 qemu-x86_64 -cpu Westmere "$(command -v openssl)" list -providers -verbose "${with[@]}"
    has out 'build info: backend aesni'
else
    echo 'not tried: no qemu-x86_64'
fi

echo '-- speed'
for size in 16 16384; do
    run 0 openssl speed "${with[@]}" -provider default -propquery provider=kfe -evp aes-256-gcm -seconds 1 \
        -bytes $size
    has out AES-256-GCM
done

echo '-- by configuration'
configure
run 0 env OPENSSL_CONF="$dir/openssl.cnf" openssl list -providers
has out 'name: kfe'
has out 'name: OpenSSL Default Provider'

echo '-- where it refuses, a program that is configured for it goes on with what OpenSSL has'
run 0 env OPENSSL_CONF="$dir/openssl.cnf" KFE_BACKEND=openssl openssl list -providers
has out 'name: OpenSSL Default Provider'
! grep -q 'name: kfe' out || fail 'it does not refuse'
run 0 env OPENSSL_CONF="$dir/openssl.cnf" KFE_BACKEND=openssl openssl speed -evp aes-256-gcm -seconds 1 -bytes 64
