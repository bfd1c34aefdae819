#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Opens every record of tests/vectors/format-v1.json and checks every refusal.

Each record is then damaged, one bit of an envelope changed in up to 100 places and its length changed by
one, and must be refused every time. Usage: test_vectors.py [FILE]. Exit code 1 at a difference, 77
without `cryptography`.
"""
import json
import pathlib
import sys

import needed  # noqa: F401
from decoder import Refused, keys_from_json, open_json, record_to_json

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "format-v1.json"


def outcome(item, keys):
    """The plain record as JSON, or the name of the error; and a line that says why."""
    try:
        return record_to_json(open_json(item, keys)), "it opens"
    except Refused as refused:
        return refused.code, str(refused)


def damaged(item):
    """Copies of the item, each with one envelope changed."""
    for place, (name, value) in enumerate(item["stored"]["headers"]):
        if name != "kfe":
            break
        envelope = bytes.fromhex(value)
        for at in range(0, len(envelope), len(envelope) // 100 + 1):
            flipped = envelope[:at] + bytes([envelope[at] ^ 1 << at % 8]) + envelope[at + 1:]
            yield f"byte {at} of envelope {place} changed", with_envelope(item, place, flipped)
        yield f"envelope {place} cut short", with_envelope(item, place, envelope[:-1])
        yield f"envelope {place} made longer", with_envelope(item, place, envelope + b"\0")


def with_envelope(item, place, envelope):
    headers = list(item["stored"]["headers"])
    headers[place] = ["kfe", envelope.hex()]
    return {**item, "stored": {**item["stored"], "headers": headers}}


def differences(vectors):
    keys = keys_from_json(vectors["keys"])
    for number, item in enumerate(vectors["records"]):
        found, why = outcome(item, keys)
        if found != item["plain"]:
            yield f"records[{number}] {item['comment']}: {why}\n  want {item['plain']}\n  have {found}"
        for change, worse in damaged(item):
            found = outcome(worse, keys)[0]
            # Nobody looks at the tags of a group that partial opening leaves sealed.
            unseen = found == item["plain"] and "encryption.consumer.partial" in item.get("options", {})
            if not isinstance(found, str) and not unseen:
                yield f"records[{number}] {item['comment']}: opens with {change}"
    for number, item in enumerate(vectors["refused"]):
        found, why = outcome(item, keys)
        if found != item["error"]:
            yield f"refused[{number}] {item['comment']}: want {item['error']}, have: {why}"


def main(path=VECTORS):
    vectors = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    records, refused = len(vectors["records"]), len(vectors["refused"])
    if vectors["format"] != 1 or not records or not refused:
        sys.exit(f"{path}: no vectors of format 1")
    found = list(differences(vectors))
    for difference in found:
        print(difference)
    print(f"{records} records, {refused} refusals, {len(found)} differences")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
