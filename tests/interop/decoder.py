#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Opens sealed Kafka records: a second implementation of the kfe wire format, version 1.

Written from docs/format.md alone, to be read beside it: numbers such as 7.1 are its sections, and the
step of a refusal is the number of its row in section 9. It seals nothing, keeps no session and wipes
nothing, so it is for tests and for learning, not for production.

As a program it reads one JSON object {"keys", "topic", "topic_label"?, "options"?, "stored"} in the
form of section 14 from standard input, and prints the plain record.
"""
import hashlib
import hmac
import json
import re
import sys
from collections import Counter, namedtuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.serialization import load_der_private_key

from envelope import (DETERMINISTIC, DIRECT, EMPTY_GROUP, HEADER, KEY, NULL_KEY, NULL_VALUE, RSA, SEALED,
                      SUITES, VALUE, WHOLE_RECORD, WRAPPED, Envelope, Reference, Refused, context, lp,
                      refuse_if, u, varint)

FIELD_LIMIT = 1 << 30  # section 12

Record = namedtuple("Record", "key value headers")  # headers: a list of (name, value); null is None


# Section 5: keys.

def derive(master, label, bits, c):
    """F of section 5.2."""
    fixed = label + b"\0" + c + u(4, bits)
    return b"".join(hmac.digest(master, u(4, i) + fixed, hashlib.sha256) for i in range(1, bits // 256 + 1))


def unwrap(key, envelope):
    """Section 5.4. An RSA private key is PKCS #8 in DER; every failure to unwrap is the same refusal."""
    rest = envelope.wrapped[1:]
    try:
        if envelope.form == 1:
            secret = keywrap.aes_key_unwrap(key, rest)
        elif envelope.form == 2:
            secret = AESGCM(key).decrypt(rest[:12], rest[12:], b"kfe1 wrap" + envelope.context())
        else:
            oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
            secret = load_der_private_key(key, None).decrypt(rest, oaep)
    except (InvalidTag, ValueError, keywrap.InvalidUnwrap):
        raise Refused(29, "the wrapped secret does not unwrap") from None
    refuse_if(len(secret) != 32, 29, "the wrapped secret is not of 32 bytes")
    return secret


class Opener:
    """Keys and policy. keys: {Reference: bytes}; options: names and values as configured."""

    def __init__(self, keys, options=None):
        options = options or {}

        self.keys = keys
        self.suites = [suite.name for suite in SUITES.values()]
        if "encryption.algorithms" in options:
            self.suites = options["encryption.algorithms"].split(",")
        self.want_commitment = options.get("encryption.commit") == "true"
        self.added = options.get("encryption.consumer.added.headers", "refuse")
        self.want_value = options.get("encryption.encrypt.values", "true") == "true"
        # Python's patterns are not PCRE2's: good for names that are literal or nearly so.
        self.unencrypted = options.get("encryption.unencrypted.topics")
        self.partial = options.get("encryption.consumer.partial") == "true"
        self.allow_rsa = options.get("encryption.keyprovider.pkcs11.allow.rsa") == "true"

    def open(self, topic, record, label=None):
        """Section 9. The plain record, or Refused."""
        refuse_if(len(topic.encode()) > 1024, 0, "the topic's name is too long", "KFE_E_ARGUMENT")
        listed = self.unencrypted is not None and re.fullmatch(self.unencrypted, topic) is not None
        envelopes = [value for name, value in record.headers if name == b"kfe"]
        if not envelopes:
            refuse_if(not listed, 1, "not sealed", "KFE_E_UNENCRYPTED")
            return record
        number = len(envelopes)
        refuse_if(number > 16, 3, "more than 16 groups")
        refuse_if(any(name != b"kfe" for name, _ in record.headers[:number]), 3, "a kfe header out of place")
        groups = [Envelope(envelope) for envelope in envelopes]
        check_groups(groups)
        stored = self._fit(groups, Record(record.key, record.value, record.headers[number:]))
        self._check_policy(groups, listed)
        for group in groups:
            text = sum(len(field(ordinal, stored)[2]) for ordinal in group.fields)
            refuse_if(group.record_scope and text >= 1 << 32, 25, "the text of one tag is too long")
        sessions = self._sessions(groups)
        p = bound(groups, topic.encode() if label is None else label, stored.key)
        texts = {}
        for group, session in zip(groups, sessions):
            if session is None:
                continue
            data_key, siv_key = session
            texts.update(open_group(group, data_key, p, stored))
            if siv_key:
                texts[KEY] = open_deterministic(siv_key, stored.key)
        return plain_record(stored, texts)

    def _fit(self, groups, stored):
        """Section 9.3; gives the record without the headers that are dropped."""
        count, headers = groups[0].count, stored.headers
        refuse_if(len(headers) > 1024, 16, "more than 1024 headers")
        refuse_if(len(headers) < count, 17, "headers are missing")
        refuse_if(len(headers) > count and self.added not in ("drop", "keep"), 18, "headers were added")
        if self.added == "drop":
            headers = headers[:count]
        covered = {i for group in groups for i in group.covered}
        names = {headers[i][0] for i in covered}
        twins = (name in names for i, (name, _) in enumerate(headers) if i not in covered)
        refuse_if(any(twins), 19, "a clear header bears the name of a covered one")
        for group in groups:
            if group.key_state:
                refuse_if((group.key_state == NULL_KEY) != (stored.key is None), 20,
                          "the key is null, or is not")
            if group.value_state:
                refuse_if((group.value_state == NULL_VALUE) != (stored.value is None), 21,
                          "the value is null, or is not")
            refuse_if(group.key_state == DETERMINISTIC and len(stored.key) < 17, 22,
                      "the stored key is too short")
        fields = [stored.key, stored.value] + [value for _, value in headers]
        refuse_if(any(len(text or b"") > FIELD_LIMIT for text in fields), 22, "a field is too long")
        return stored._replace(headers=headers)

    def _check_policy(self, groups, listed):
        value = any(group.value_state for group in groups)
        refuse_if(self.want_value and not listed and not value, 23, "the value is in clear",
                  "KFE_E_UNENCRYPTED")
        for group in groups:
            refuse_if(group.suite.name not in self.suites, 24, "the suite is not allowed", "KFE_E_SUITE")
        for group in groups:
            refuse_if(self.want_commitment and not group.committed, 25, "no commitment")
            refuse_if(group.form == RSA and not self.allow_rsa, 25, "RSA is not allowed")

    def _key(self, reference, able):
        key = self.keys.get(reference)
        refuse_if(key is None, 26, "no such key", "KFE_E_KEY_UNKNOWN")
        refuse_if(not able(len(key)), 27, "the key cannot do that", "KFE_E_KEY_DENIED")
        return key

    def _session(self, group):
        """Section 9.5 for one group: its data key, and its SIV key or None."""
        length = group.suite.key_length if group.kind == DIRECT else 32
        key = self._key(group.reference, lambda n: n > 32 if group.form == RSA else n == length)
        if group.kind != DIRECT:
            master = unwrap(key, group) if group.kind == WRAPPED else key
            key = derive(master, b"kfe1 data key", 256, group.context())[:group.suite.key_length]
            if group.committed:
                commitment = derive(master, b"kfe1 commitment", 256, group.context())[:16]
                refuse_if(not hmac.compare_digest(commitment, group.commitment), 29, "the commitment differs")
        if group.deterministic is None:
            return key, None
        master = self._key(group.deterministic, lambda n: n == 32)
        return key, derive(master, b"kfe1 deterministic", 512, context(0, group.deterministic, bytes(16)))

    def _sessions(self, groups):
        """Section 9.5, and what 9.6 says of partial opening: None for a group that stays sealed."""
        sessions, errors = [], []
        for group in groups:
            try:
                sessions.append(self._session(group))
            except Refused as refused:
                if not self.partial or refused.step not in (26, 27):
                    raise
                sessions.append(None)
                errors.append(refused)
        if len(errors) == len(groups):
            raise errors[0]
        return sessions


def check_groups(groups):
    """Steps 14 and 15, section 8."""
    for place, group in enumerate(groups):
        refuse_if(group.index != place, 14, "a group out of its place")
        refuse_if(group.number != len(groups), 14, "groups are missing or too many")
    refuse_if(len({group.count for group in groups}) > 1, 15, "the header counts differ")
    times = Counter(i for group in groups for i in group.covered)
    times.update(key=sum(group.key_state != 0 for group in groups),
                 value=sum(group.value_state != 0 for group in groups))
    refuse_if(max(times.values()) > 1, 15, "a field is covered by two groups")


def bound(groups, label, key):
    """P of section 7.1 with K of 7.2."""
    if any(group.key_state == SEALED for group in groups):
        k = b"\0"
    else:
        k = b"\1" if key is None else b"\2" + lp(key)
    p = b"".join(group.metadata for group in groups) + lp(label) + k
    return p + bytes(-len(p) % 16)


def field(ordinal, stored):
    """Section 7.3: kind, name and text as stored of the field with that ordinal."""
    if ordinal in (KEY, VALUE):
        return ordinal, b"", (stored.key, stored.value)[ordinal] or b""
    name, value = stored.headers[ordinal - HEADER]
    return (3 if value is None else 2), name, value or b""


def open_group(group, data_key, p, stored):
    """Step 30 for one group: {ordinal: plaintext}."""
    fields = [(ordinal, *field(ordinal, stored)) for ordinal in group.fields]
    opened = {}
    if group.record_scope:
        d = b"\xff" + varint(len(fields)) + b"".join(
            u(1, kind) + u(2, ordinal) + varint(len(text)) + lp(name) for ordinal, kind, name, text in fields)
        joined = b"".join(text for *_, text in fields)
        plain = open_message(group, data_key, group.tags[0], WHOLE_RECORD, joined, p + d)
        for ordinal, _, _, text in fields:
            opened[ordinal], plain = plain[:len(text)], plain[len(text):]
        return opened
    for tag, (ordinal, kind, name, text) in zip(group.tags, fields or [(EMPTY_GROUP, 0xFE, b"", b"")]):
        d = u(1, kind) + u(2, ordinal) + lp(name)
        opened[ordinal] = open_message(group, data_key, tag, ordinal, text, p + d)
    return opened


def open_message(group, data_key, iv_and_tag, ordinal, text, associated):
    iv, tag = iv_and_tag
    nonce = iv or u(4, 0) + u(6, group.counter) + u(2, ordinal)
    try:
        return group.suite.cipher(data_key).decrypt(nonce, text + tag, associated)
    except InvalidTag:
        raise Refused(30, f"the tag of group {group.index}, ordinal {ordinal} does not verify") from None


def open_deterministic(siv_key, stored):
    """Section 5.7."""
    try:
        text = AESSIV(siv_key).decrypt(stored, [b"kfe1 deterministic key"])
    except InvalidTag:
        raise Refused(30, "the deterministic key does not verify") from None
    refuse_if(text[0] != 1, 30, "the first byte of the deterministic key is not 01")
    return text[1:]


def plain_record(stored, texts):
    """The record as stored with the opened texts in their places; null stays null."""
    def text(ordinal, old):
        return None if old is None else texts.get(ordinal, old)
    return Record(text(KEY, stored.key), text(VALUE, stored.value),
                  [(name, text(HEADER + i, old)) for i, (name, old) in enumerate(stored.headers)])


# Section 14: records and keys as JSON.

def keys_from_json(keys):
    return {Reference(k["name"].encode(), k["version"]): bytes.fromhex(k["key"]) for k in keys}


def record_from_json(record):
    def data(text):
        return None if text is None else bytes.fromhex(text)
    return Record(data(record["key"]), data(record["value"]),
                  [(name.encode(), data(value)) for name, value in record["headers"]])


def record_to_json(record):
    def text(data):
        return None if data is None else data.hex()
    return {"key": text(record.key), "value": text(record.value),
            "headers": [[name.decode(errors="replace"), text(value)] for name, value in record.headers]}


def open_json(item, keys):
    """Opens one item of the form of section 14's `records`; keys as keys_from_json() gives them."""
    label = item["topic_label"].encode() if "topic_label" in item else None
    return Opener(keys, item.get("options")).open(item["topic"], record_from_json(item["stored"]), label)


def main():
    item = json.load(sys.stdin)
    try:
        print(json.dumps(record_to_json(open_json(item, keys_from_json(item["keys"])))))
    except Refused as refused:
        sys.exit(str(refused))


if __name__ == "__main__":
    main()
