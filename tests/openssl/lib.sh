# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the shell tests of kfe.so share. A test is called as: test.sh MODULES [...], the folder with
# kfe.so.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../support/shell.sh" openssl
modules=$1
unset OPENSSL_CONF OPENSSL_MODULES KFE_BACKEND

command -v openssl >/dev/null || lacks openssl
with=(-provider-path "$modules" -provider kfe)
if ! openssl list -providers "${with[@]}" >out 2>err; then
    grep -q 'no kernel' err && skip "$(grep -o 'kfe has no kernel.*' err)"
    fail "kfe.so does not load"
fi

# A configuration as docs/openssl.md has it.
configure() {
    cat >openssl.cnf <<END
openssl_conf = openssl_init

[openssl_init]
providers = provider_list
alg_section = algorithms

[provider_list]
default = default_section
kfe = kfe_section

[default_section]
activate = 1

[kfe_section]
module = $modules/kfe.so
activate = 1

[algorithms]
default_properties = ?provider=kfe
END
}
