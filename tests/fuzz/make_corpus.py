#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds in corpus/: tests/fuzz/make_corpus.py. What a fuzzer found worth keeping may stand
beside them under another name; this script only removes files named seed-*."""
import base64
import json
import pathlib
import re
import struct

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors" / "format-v1.json"
OPTIONS = HERE.parent.parent / "engine" / "options.c"


def write(target, seeds):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("seed-*"):
        old.unlink()
    for number, seed in enumerate(dict.fromkeys(seeds)):
        (folder / f"seed-{number:03}").write_bytes(seed)


def envelopes():
    vectors = json.loads(VECTORS.read_text())
    for record in vectors["records"] + vectors["refused"]:
        for name, value in record["stored"]["headers"]:
            if name == "kfe" and value is not None:
                yield bytes.fromhex(value)


def padded():
    """Header maps with one bit too many (byte 4 is a count below 8, byte 5 the map), and its tag."""
    for envelope in envelopes():
        if len(envelope) > 5 and 0 < envelope[4] < 8:
            yield envelope[:5] + bytes([envelope[5] | 128]) + envelope[6:] + bytes(16)


def keystores():
    key = base64.b64encode(bytes(range(32))).decode()
    entry = {"name": "orders", "version": 1, "state": "active", "key": key}
    gone = {"name": "orders", "version": 2, "state": "destroyed"}
    old = dict(entry, name="a\u00e9\"\\\u20ac\U0001f511", version=4294967295, state="decrypt-only")

    def store(*keys):
        return {"version": 1, "keys": list(keys)}

    for value in (store(), store(entry), store(gone, entry), store(old, entry, gone),
                  store(entry, entry), store(dict(entry, version=0)),
                  store(dict(entry, key=key[:-4])), store(dict(entry, state="lost")),
                  {"version": 2, "keys": []}, {"keys": []}, []):
        yield json.dumps(value).encode()
        yield json.dumps(value, ensure_ascii=False, indent=1).encode()
    yield b'{"version":1,"keys":[{"name":"\\ud83d\\udd11","version":1,"state":"destroyed"}]}'
    box = {"kdf": "scrypt", "log2_n": 17, "r": 8, "p": 1,
           "salt": base64.b64encode(bytes(16)).decode(), "cipher": "A256GCM",
           "nonce": base64.b64encode(bytes(12)).decode(), "data": key}
    for value in (box, dict(box, log2_n=30), dict(box, r=33, log2_n=14), dict(box, p=17, log2_n=14), dict(box, cipher="none"),
                  dict(box, salt="AAAA"), {"version": 1, "sealed": box}):
        yield json.dumps(value).encode()


def configs():
    names = re.findall(r'\.name = "(encryption\.[a-z0-9.]+)"', OPTIONS.read_text())
    values = [b"true", b"5000", b"file", b"h[0-2]", b".*=x", b"orders@1", b"A256GCM,C20P1305",
              b"label:x", b"env:NAME", b"deterministic", b"/usr/lib/x.so:symbol", b""]
    for i in range(0, len(names), 4):
        for j in range(3):
            value = values[(i // 4 + 4 * j) % len(values)]
            yield b"\1" + b"\n".join(n.encode() + b"=" + value for n in names[i:i + 4])
    yield b"\0# a comment\n\n encryption.scope = record \r\nencryption.commit=true\n"
    yield b"\0encryption.encrypt.keys=true\nencryption.encrypt-keys=false\n"
    yield b"\1\xef\xbb\xbfbootstrap.servers=localhost:9092\nencryption.scope=field\nacks"
    yield b"\0bootstrap.servers=localhost:9092\n"
    yield b"\1encryption.scope\0=field\n=x\n"
    yield (b"\1encryption.keyprovider.class=file\nencryption.keyprovider.file.path=/k\n"
           b"encryption.keymanager.class=topic\nencryption.keymanager.default.key=${topic}\n"
           b"encryption.encrypt.keys=deterministic\n"
           b"encryption.keymanager.deterministic.key=orders@1\n")


def rules():
    subjects = [b"", b"orders", b"orders.eu-1", b"a\nb", b"\xff\xfe", b"x" * 300]
    texts = [
        (0, [b".*", b"orders\\..*", b"(a|aa)+b", b"[", b"(?<eu>eu)-(\\d+)", b"\\", b"a{2,}", b"(?i)X",
             b"^a$", b"(?=o).*", b"(*UTF)x"]),
        (1, [b"orders.*=orders", b"a=b;c=${topic}; ;", b".*=x-${header:tenant}", b"\\=\\;=\\;\\=",
             b"=x", b"x=", b";;", b"(=x", b"x=${none}"]),
        (2, [b"orders", b"${topic}", b"${header:tenant}", b"a-${topic}-${header:x}-b", b"${", b"${}",
             b"$$", b"${topic" * 20, b"x" * 256]),
        (3, [b"copy\\.(.*)=$1", b"(?<name>.+)=x-${name}-$$", b"a=b", b"=x", b"a=", b"(a)|(b)=$2$1",
             b"x=$9", b"x=${", b"(.*)=$1$1$1$1$1$1"]),
        (4, [b"orders@1", b"a@b@4294967295", b"orders@0", b"orders@01", b"@1", b"orders@",
             b"orders@4294967296", b"orders@-1"]),
    ]
    for kind, options in texts:
        for i, text in enumerate(options):
            yield bytes([kind]) + text + b"\0" + subjects[i % len(subjects)]
    for text in (b"x=$9", b"x=${", b"x=${none}", b"(x)|y=$1", b"x=$$"):
        yield b"\3" + text + b"\0x"


def edit(operation, part=0, argument=0):
    return struct.pack(">BBH", operation, part, argument)


def records():
    which = [bytes([number, (number + 1) % 30]) for number in range(30)]
    yield from which
    for i, first in enumerate(which):
        part = i % 9
        edits = [edit(1, part, 3 << 8 | i % 8),             # one bit
                 edit(3, part, i << 8) + edit(4, part, i),   # cut, then longer
                 edit(7, part, part),                        # another record's part
                 edit(8 + i // 2 % 5, i % 4, i % 3),         # the header list
                 edit(5 + i // 2 % 2, 1 + i // 3 % 2)]       # null, empty
        yield first + edits[i % 5]
        yield first + edits[(i + 2) % 5] + edits[(i + 3) % 5]
    for engine in range(6):
        for part in (1, 2, 4, 6):
            yield which[5 * engine] + edit(1, part, 2)
            yield which[5 * engine + 4] + edit(1, part, 1 << 8)
    for engine in (2, 5):  # a header like a covered one, behind all others
        for header in range(5):
            yield which[5 * engine + 4] + edit(10, header, 5)
            yield which[5 * engine + 3] + edit(10, header, 4)
    for envelope in list(envelopes())[:12]:
        yield which[0] + edit(15, 4) + envelope
    yield which[25] + b"".join(edit(11, 0) for _ in range(8)) + edit(15, 0) + b"clear"


write("envelope", list(envelopes()) + list(padded())[:4])
write("keystore", keystores())
write("config", configs())
write("rules", rules())
write("record", records())
