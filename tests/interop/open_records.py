#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that records which another program sealed open to exactly what went in.

Standard input is JSON, one object a line. The first line has "keys", "topic" and perhaps "topic_label"
and "options"; they hold for all lines. Every further line has "stored" and "plain" in the form of
section 14 of docs/format.md, and may give its own "topic", "topic_label" and "options".

Prints how many records opened. Exit code 1 at the first difference or if there was no record, 77
without `cryptography`.
"""
import json
import sys

import needed  # noqa: F401
from decoder import Refused, keys_from_json, open_json, record_to_json


def difference(item, keys):
    """A text that says how the record differs, or None."""
    try:
        opened = record_to_json(open_json(item, keys))
    except Refused as refused:
        return f"refused with {refused}"
    for part in ("key", "value", "headers"):
        if opened[part] != item["plain"][part]:
            return f"the {part} differs\n  want {item['plain'][part]}\n  have {opened[part]}"
    return None


def main():
    common = json.loads(sys.stdin.readline() or sys.exit("no input"))
    keys, count = keys_from_json(common.pop("keys")), 0
    for number, line in enumerate(sys.stdin, start=2):
        if not line.strip():
            continue
        item = {**common, **json.loads(line)}
        wrong = difference(item, keys)
        if wrong:
            sys.exit(f"line {number}: {wrong}\n  stored {json.dumps(item['stored'])}")
        count += 1
    if count == 0:
        sys.exit("there was no record")
    print(f"{count} records opened to exactly what was sealed")


if __name__ == "__main__":
    main()
