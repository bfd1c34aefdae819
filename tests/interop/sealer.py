# SPDX-License-Identifier: Apache-2.0
"""Seals records with chosen salts and counters, so that the decoder's tests can say exactly what is on
the wire, rightly or wrongly. It obeys none of section 11 of docs/format.md: never use it for anything else.
"""
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from decoder import Record, bound, derive, field
from envelope import (DETERMINISTIC, DIRECT, EMPTY_GROUP, HEADER, KEY, NULL_KEY, NULL_VALUE, SEALED, SUITES,
                      VALUE, WHOLE_RECORD, WRAPPED, Reference, context, lp, u, varint)

MASTER = bytes(range(32))
ORDERS = Reference(b"orders", 1)
SALT = bytes(range(0xA0, 0xB0))


class Group:
    """What to seal, and how; any part of the metadata can be overridden by its raw bytes."""

    def __init__(self, record, cover, **more):
        self.cover, self.suite_id, self.scope, self.kind = cover, 1, 0, 0
        self.reference, self.master, self.salt, self.counter = ORDERS, MASTER, SALT, 42
        self.index, self.number, self.commit, self.siv, self.siv_master = 0, 1, False, None, MASTER
        self.wrapped, self.secret, self.iv, self.raw = None, None, bytes(12), {}
        self.__dict__.update(more)
        self.key_state = 0 if KEY not in cover else NULL_KEY if record.key is None else \
            DETERMINISTIC if self.siv else SEALED
        self.value_state = 0 if VALUE not in cover else NULL_VALUE if record.value is None else SEALED
        self.covered = sorted(o - HEADER for o in cover if o >= HEADER)
        self.fields = [o for o in sorted(cover) if o != KEY or self.key_state == SEALED]
        self.context = context(self.suite_id, self.reference, b"" if self.kind == WRAPPED else self.salt)
        self.count = len(record.headers)
        self.metadata = b"".join({**self.parts(), **self.raw}.values())

    def parts(self):
        states = self.key_state | self.value_state << 2 | self.scope << 4 | self.commit << 5 | self.kind << 6
        bits = sum(1 << i for i in self.covered)
        siv = b""
        if self.key_state == DETERMINISTIC:
            own = self.siv.name == self.reference.name
            siv = lp(b"" if own else self.siv.name) + varint(self.siv.version)
        session = {0: self.salt, WRAPPED: lp(self.wrapped or b""), DIRECT: self.salt + u(1, len(self.iv))}
        commitment = derive(self.secret or self.master, b"kfe1 commitment", 256, self.context)[:16]
        return {"format": b"\1", "suite": u(1, self.suite_id), "states": u(1, states),
                "group": u(1, self.index << 4 | self.number - 1), "count": varint(self.count),
                "map": bits.to_bytes((self.count + 7) // 8, "little"), "name": lp(self.reference.name),
                "version": varint(self.reference.version), "siv": siv, "session": session[self.kind],
                "commitment": commitment if self.commit else b"", "counter": u(6, self.counter)}

    def encrypt(self, ordinal, text, associated):
        suite = SUITES[self.suite_id]
        key = self.master
        if self.kind != DIRECT:
            key = derive(self.secret or key, b"kfe1 data key", 256, self.context)[:suite.key_length]
        nonce = self.iv if self.kind == DIRECT else u(4, 0) + u(6, self.counter) + u(2, ordinal)
        sealed = suite.cipher(key).encrypt(nonce, text, associated)
        return sealed[:-16], (self.iv if self.kind == DIRECT else b"") + sealed[-16:]


def siv_key(group):
    return derive(group.siv_master, b"kfe1 deterministic", 512, context(0, group.siv, bytes(16)))


def seal(record, *groups, label=b"orders"):
    """The record as stored."""
    texts, tags = {}, []
    for group in groups:
        if group.key_state == DETERMINISTIC:
            texts[KEY] = AESSIV(siv_key(group)).encrypt(b"\1" + record.key, [b"kfe1 deterministic key"])
    p = bound(groups, label, texts.get(KEY, record.key))
    for group in groups:
        fields = [(o, *field(o, record)) for o in group.fields]
        if group.scope:
            d = b"\xff" + varint(len(fields)) + b"".join(
                u(1, kind) + u(2, o) + varint(len(text)) + lp(name) for o, kind, name, text in fields)
            sealed, tag = group.encrypt(WHOLE_RECORD, b"".join(f[3] for f in fields), p + d)
            for o, _, _, text in fields:
                texts[o], sealed = sealed[:len(text)], sealed[len(text):]
            tags.append(tag)
            continue
        made = b""
        for o, kind, name, text in fields or [(EMPTY_GROUP, 0xFE, b"", b"")]:
            texts[o], tag = group.encrypt(o, text, p + u(1, kind) + u(2, o) + lp(name))
            made += tag
        tags.append(made)

    def put(ordinal, old):
        return None if old is None else texts.get(ordinal, old)
    return Record(put(KEY, record.key), put(VALUE, record.value),
                  [(b"kfe", group.metadata + tag) for group, tag in zip(groups, tags)]
                  + [(name, put(HEADER + i, old)) for i, (name, old) in enumerate(record.headers)])


def wrap_gcm(group_context, secret, iv=bytes(12), master=MASTER):
    """Form 2 of section 5.4."""
    return b"\2" + iv + AESGCM(master).encrypt(iv, secret, b"kfe1 wrap" + group_context)
