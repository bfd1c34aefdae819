#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Shell scripts have nothing that shellcheck warns of (SC2034, unused, is what a library's names are).
. "$(dirname "$0")/lint.sh"
need shellcheck

files '*.sh' dev .ci/run | xargs -r shellcheck -x -P SCRIPTDIR -S warning -e SC2034 -f gcc
