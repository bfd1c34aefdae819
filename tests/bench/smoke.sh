#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# smoke.sh KFE-BENCH: every table once, in each form; figures are looked at for being there only.
set -euo pipefail
bench=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TMPDIR=$dir

fail() { printf 'smoke: %s\n' "$*" >&2; exit 1; }

# wrong_use ARGUMENT...: exit code 2, nothing on standard output, a word on standard error.
wrong_use() {
    local code=0
    "$bench" "$@" >"$dir/out" 2>"$dir/err" || code=$?
    if [ $code != 2 ] || [ -s "$dir/out" ] || [ ! -s "$dir/err" ]; then
        fail "$* gave $code"
    fi
}

wrong_use --only nothing
wrong_use --only sizes,
wrong_use --bits 129
wrong_use --rounds 0
wrong_use --batch 5000
wrong_use --cpu 1023
wrong_use cipher
wrong_use kernels records
"$bench" --help | grep -q -- '--markdown' || fail '--help does not help'

"$bench" all --quick --csv "$dir/all.csv" --json "$dir/all.json" >"$dir/all.txt"
"$bench" --quick --only few,port --bits 128 --markdown >"$dir/few.md"
for table in sizes mix alone few narrow keys records; do
    grep -q "^== $table: seal" "$dir/all.txt" || fail "no table $table, seal"
    grep -q "^== $table: open" "$dir/all.txt" || fail "no table $table, open"
done
grep -q '^== setup:' "$dir/all.txt" || fail 'no table setup'
grep -q '^### few: seal, AES-128-GCM' "$dir/few.md" || fail 'no Markdown'
[ "$(grep -c '^|---|--:|--:|--:|$' "$dir/few.md")" -ge 4 ] || fail 'no Markdown tables'
for left in "$dir"/kfe-bench.*; do
    [ ! -e "$left" ] || fail "$left was left behind"
done

if ! command -v python3 >/dev/null; then
    echo 'skipped: no python3 here (./dev deps installs it)'
    [ "${KFE_NO_SKIP:-}" != 1 ] || exit 1
    exit 77
fi
python3 - "$dir" <<'PYTHON'
import csv, json, sys

page = json.load(open(sys.argv[1] + "/all.json"))
lines = list(csv.DictReader(open(sys.argv[1] + "/all.csv")))
assert {"cpu", "backends", "compiler", "libraries", "date", "command"} <= page["machine"].keys()
backends = page["machine"]["backends"].split(", ")
verdicts = {"", "aim", "met", "MISSED", "not run"}
cells = 0
for table in page["tables"]:
    n = len(table["columns"])
    name = table["name"]
    assert n > 0 and len(set(table["columns"])) == n, name
    rows = {row["name"]: row for row in table["rows"]}
    for row in rows.values():
        assert len(row["fastest"]) == len(row["median"]) == n, name
        for fastest, median in zip(row["fastest"], row["median"]):
            assert fastest is None or fastest > 0, name
            assert median is None or median >= fastest, name
            cells += fastest is not None
    if name not in ("narrow", "port", "evp"):
        assert {"kfe " + b for b in backends} <= rows.keys(), name
        assert "openssl" in rows or name == "records", name
    for goal in table["goals"]:
        assert all(len(goal[k]) == n for k in ("ratio", "at_least", "aim", "verdict")), name
        assert set(goal["verdict"]) <= verdicts, name
assert cells == len(lines), (cells, len(lines))
assert all(float(line["fastest"]) > 0 and line["verdict"] in verdicts | {None} for line in lines)
assert all(None not in line for line in lines)
PYTHON
