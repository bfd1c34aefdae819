#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# use.sh BUILD-FOLDER CMAKE COMPILER: installs to a new prefix, moves it, and uses it as a stranger
# would: program.c and the C of README.md, by find_package() and by pkg-config.
set -euo pipefail
build=$1 cmake=$2 cc=$3
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset LD_LIBRARY_PATH
fail() { echo "use.sh: $*"; exit 1; }

"$cmake" --install "$build" --prefix "$work/first" >"$work/log" || { cat "$work/log"; exit 1; }
mv "$work/first" "$work/prefix" # nothing may remember where it was first
prefix=$work/prefix
libdir=$(dirname "$(find "$prefix" -name libkfe.so)")
cp "$here/program.c" "$work/program.c"

echo '-- the libraries'
for name in kfe kfe-pkcs11 kfe-kafka; do
    lib=$libdir/lib$name.so
    [ -L "$lib" ] || fail "$lib is not there, or no link to a versioned file"
    dynamic=$(readelf -d "$lib")
    grep -q "SONAME.*\[lib$name\.so\.[0-9]*\]" <<<"$dynamic" || fail "$lib: no SONAME"
    grep RUNPATH <<<"$dynamic" | grep -q '\[[$]ORIGIN' || fail "$lib: does not look beside itself"
    grep RUNPATH <<<"$dynamic" | grep -qF "$build" && fail "$lib: looks into the build folder"
    grep -Eq 'BIND_NOW|FLAGS.*NOW' <<<"$dynamic" || fail "$lib: not bound at load"
    readelf -lW "$lib" | grep -q GNU_RELRO || fail "$lib: no RELRO"
    readelf -lW "$lib" | grep 'GNU_STACK' | grep -q 'RWE' && fail "$lib: executable stack"
done
front=$libdir/kfe-pkcs11-front.so
[ -f "$front" ] || fail "$front is not there"
! readelf -d "$front" | grep -E 'RUNPATH|RPATH' | grep -F "$build" || fail "$front: looks into the build folder"
shown=$(nm -D --defined-only "$front" | awk '{ print $3 }' | sort | tr '\n' ' ')
[ "$shown" = "C_GetFunctionList kfe_p11_front_show " ] || fail "$front shows $shown"
module=$libdir/ossl-modules/kfe.so
[ -f "$module" ] || fail "$module is not there"
! readelf -d "$module" | grep -E 'RUNPATH|RPATH' || fail "$module looks for libraries"
if command -v openssl >/dev/null; then
    loads=$(openssl list -providers -provider-path "${module%/*}" -provider kfe 2>&1) ||
        grep -q 'no kernel' <<<"$loads" || fail "OpenSSL does not load kfe.so: $loads"
fi
for header in kfe config error gcm keys record secret kafka pkcs11; do
    printf '#include <kfe/%s.h>\n' "$header" |
        "$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I "$prefix/include" -x c - ||
        fail "<kfe/$header.h> does not stand alone"
done

echo '-- the command'
version=$("$prefix/bin/kfe" --version)
want=$(PKG_CONFIG_PATH=$libdir/pkgconfig pkg-config --modversion kfe)
[[ $version == *"$want"* ]] || fail "kfe --version says '$version', pkg-config '$want'"

echo '-- the command, with an RSA key in a token whose OAEP lacks SHA-256: by libp11'
softhsm=$(ls /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so 2>/dev/null | head -n 1)
if [ -z "$softhsm" ]; then
    echo 'left out: no SoftHSM here'
    [ "${KFE_NO_SKIP:-}" != 1 ] || exit 1
else
    mkdir "$work/tokens"
    export SOFTHSM2_CONF=$work/softhsm2.conf PIN=13572468
    printf 'directories.tokendir = %s\nlog.level = ERROR\n' "$work/tokens" >"$SOFTHSM2_CONF"
    softhsm2-util --init-token --free --label install --so-pin 87654321 --pin $PIN >/dev/null
    cat >"$work/kfe.conf" <<CONF
encryption.keyprovider.class=pkcs11
encryption.keyprovider.pkcs11.uri=pkcs11:token=install?module-path=$softhsm
encryption.keyprovider.pkcs11.pin=env:PIN
encryption.keyprovider.pkcs11.allow.rsa=true
encryption.keyprovider.pkcs11.timeout.ms=60000
encryption.keymanager.class=topic
encryption.keymanager.default.key=shop
CONF
    kfe() { "$prefix/bin/kfe" "$@" -F "$work/kfe.conf"; }
    kfe keys create shop --kind rsa | grep -qx 'shop@1 active' || fail 'no RSA key is made'
    # It seals and opens records, for which the token has to unwrap.
    kfe doctor --stats >"$work/log" || { cat "$work/log"; fail 'records are not sealed and opened by it'; }
    grep -Eq '"kind":[[:space:]]+"wrapped"' "$work/log" || fail 'no session was wrapped'
    mv "$front" "$front.gone" # or another way was gone
    ! kfe doctor --stats >"$work/log" || fail 'RSA works without kfe-pkcs11-front.so'
    grep -qF "${front%/*}/kfe-pkcs11-front.so" "$work/log" || fail 'it is not said which file is missing'
    mv "$front.gone" "$front"
fi

echo '-- pkg-config'
export PKG_CONFIG_PATH=$libdir/pkgconfig
read -ra flags <<<"$(pkg-config --cflags --libs kfe-kafka)"
"$cc" -o "$work/by-pkg-config" "$work/program.c" "${flags[@]}" "-Wl,-rpath,$libdir"
"$work/by-pkg-config" | grep -qx "kfe $want: KFE_OK" || fail 'by pkg-config: does not run'
pkg-config --exists kfe kfe-pkcs11 || fail 'a .pc file is missing'
unset PKG_CONFIG_PATH

echo '-- find_package'
cat >"$work/CMakeLists.txt" <<CMAKE
cmake_minimum_required(VERSION 3.25)
project(stranger C)
find_package(kfe ${want%%.*} REQUIRED)
add_executable(by-cmake program.c)
target_link_libraries(by-cmake PRIVATE kfe::kafka)
add_executable(engine-alone engine.c)
target_link_libraries(engine-alone PRIVATE kfe::kfe)
if(NOT TARGET kfe::pkcs11)
    message(FATAL_ERROR "no kfe::pkcs11")
endif()
CMAKE
cp "$here/gcm.c" "$work/engine.c"
{
    "$cmake" -G Ninja -S "$work" -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" &&
        "$cmake" --build "$work/build"
} >"$work/log" 2>&1 || { cat "$work/log"; fail 'find_package(kfe) cannot be used'; }
"$work/build/by-cmake" | grep -qx "kfe $want: KFE_OK" || fail 'by CMake: does not run'
"$work/build/engine-alone" || fail 'kfe::kfe alone: does not run'

echo '-- the C of README.md'
awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$here/../../README.md" >"$work/readme.c"
[ -s "$work/readme.c" ] || fail 'README.md has no C'
"$cc" -std=c11 -Wall -Wextra -Werror -o "$work/readme" "$work/readme.c" "${flags[@]}" "-Wl,-rpath,$libdir"
