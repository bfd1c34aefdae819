#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Each link of a page leads to a file, and to a heading of it; each source file is named in the
# README.md of its folder, where there is one: `name`, with or without its suffix, or `begin*`.
. "$(dirname "$0")/lint.sh"

# prose FILE: LINE:TEXT, without fenced blocks
prose() { awk '/^ *```/ { code = !code; next } !code { print FNR ":" $0 }' "$1"; }

# anchors FILE: of its headings
anchors() {
    prose "$1" | sed -n 's/^[0-9]*:##* //p' |
        sed 's/\](\([^)]*\))//g' | tr 'A-Z ' 'a-z-' | sed 's/[^a-z0-9_-]//g'
}

# links FILE: LINE TARGET
links() {
    prose "$1" | awk -F: '{
        line = $1
        while (match($0, /\]\([^)]*\)/)) {
            print line, substr($0, RSTART + 2, RLENGTH - 3)
            $0 = substr($0, RSTART + RLENGTH)
        }
    }'
}

dead_links() {
    local page line target file
    while read -r page; do
        while read -r line target; do
            case $target in *://*) continue ;; esac
            file=${target%%#*}
            file=${file:+$(dirname "$page")/$file}
            file=${file:-$page}
            if [ ! -e "$file" ]; then
                echo "$page:$line: no file $target"
            elif [ "$target" != "${target#*#}" ] && ! anchors "$file" | grep -qxF -- "${target#*#}"; then
                echo "$page:$line: no heading $target"
            fi
        done < <(links "$page")
    done < <(files '*.md')
}

unnamed() {
    local readme folder names file stem name named
    while read -r readme; do
        folder=${readme%/README.md}
        mapfile -t names < <(grep -o '`[a-z0-9_/.*]*`' "$readme" | tr -d '\140' | sed 's|.*/||; s/\.[a-z]*$//')
        while read -r file; do
            stem=$(basename "${file%.*}")
            named=
            # shellcheck disable=SC2254
            for name in "${names[@]}"; do case $stem in $name) named=yes ;; esac; done
            [ -n "$named" ] || echo "$readme:1: does not name $file"
        done < <(files "$folder/*.c" "$folder/*.h" "$folder/*.inc" | grep -v '/include/')
    done < <(files '*/README.md')
}

{
    dead_links
    unnamed
} | verdict 'pages'
