#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C file is as clang-format leaves it (`./dev format` does it).
. "$(dirname "$0")/lint.sh"
need clang-format-14

files '*.c' '*.h' '*.inc' | xargs -r clang-format-14 --dry-run -Werror --ferror-limit=1
