#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the decoder itself: the worked examples of section 13 of docs/format.md, what the format
allows, and every step of section 9. Exit code 77 without `cryptography`."""
import itertools
import unittest
import unittest.mock

import needed  # noqa: F401
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from decoder import Opener, Record, derive
from envelope import HEADER, KEY, VALUE, Reader, Reference, Refused, context, varint
from sealer import MASTER, ORDERS, SALT, Group, seal, siv_key, wrap_gcm

PLAIN = Record(b"k-17", b"hello, kafka", [(b"trace-id", b"\x37\x66\x33\x61"), (b"tenant", b"acme")])
TOMBSTONE = Record(b"k-17", None, [])
OTHER, SHORT, PAIR = Reference(b"other", 7), Reference(b"short", 1), Reference(b"pair", 1)
LOST = Reference(b"lost", 1)
SECRET = bytes(range(64, 96))
RSA_KEY = rsa.generate_private_key(65537, 2048)
PKCS8 = RSA_KEY.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                              serialization.NoEncryption())
KEYS = {ORDERS: MASTER, OTHER: bytes(range(1, 33)), SHORT: bytes(16), PAIR: PKCS8}
META = "0101{0}0002{1}066f726465727301a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0000000000{2}"


def at(headers, i, name=None, **value):
    """The headers with header i renamed or given another value."""
    old = headers[i]
    return headers[:i] + [(name or old[0], value.get("value", old[1]))] + headers[i + 1:]


class Case(unittest.TestCase):
    def opens(self, plain, stored, options=None, topic="orders", label=None):
        self.assertEqual(Opener(KEYS, options).open(topic, stored, label), plain)

    def refused(self, step, stored, code="KFE_E_AUTH", options=None, topic="orders", label=None):
        with self.assertRaises(Refused) as caught:
            Opener(KEYS, options).open(topic, stored, label)
        self.assertEqual((caught.exception.step, caught.exception.code), (step, code), str(caught.exception))


class WorkedExamples(Case):
    def example(self, plain, envelope, key, value, headers):
        h = bytes.fromhex
        stored = Record(h(key), value and h(value), [(b"kfe", h(envelope))] + headers)
        self.opens(plain, stored)
        return stored

    def test_13_1_field_scope(self):
        stored = self.example(
            PLAIN, META.format("05", "02", "2a") + "c95343c3e5e2939a27929a2742f1d7fe"
            "fcbe19f6a601ed83801cb96ff9d8684798d7527ef1deeb3d941d93cdfcd08bc5",
            "4d8ab533", "517426ae9a39b6cb8068fe26", [PLAIN.headers[0], (b"tenant", b"\x33\xea\xbf\x11")])
        self.assertEqual(len(stored.headers[0][1]), 84)
        self.assertEqual(seal(PLAIN, Group(PLAIN, [KEY, VALUE, HEADER + 1])), stored)

    def test_13_1_keys(self):
        c = context(1, ORDERS, SALT)
        self.assertEqual(derive(MASTER, b"kfe1 data key", 256, c).hex(),
                         "1b1e1caea21245335eee018d5a278fe49d28346c70f4d4f00430a976e01966ce")
        self.assertEqual(derive(MASTER, b"kfe1 commitment", 256, c)[:16].hex(),
                         "cdd681b5af7a96efc18c49df5b676a91")

    def test_13_2_record_scope(self):
        self.example(PLAIN, META.format("15", "02", "2b") + "5e081f059a8f5886e509c203c5170626",
                     "b9e76e46", "72e9d8bba925487a70d80aed",
                     [PLAIN.headers[0], (b"tenant", b"\x85\x3c\x7e\x68")])

    def test_13_3_tombstone(self):
        self.example(TOMBSTONE, "01010a0000066f7264657273010001a0a1a2a3a4a5a6a7a8a9aaabacadaeaf00000000002c"
                     "83b3070b316cb98807ee9d2f9937f877", "4f2b55c12d1739a618930b10bd95b7d9953a876e0a", None, [])


class Opens(Case):
    def test_every_combination_of_null_empty_and_scope(self):
        some = (None, b"", b"text")
        for key, value, header, scope, suite in itertools.product(some, some, some, (0, 1), (1, 2, 3)):
            plain = Record(key, value, [(b"clear", b"x"), (b"", header)])
            for cover in ([KEY, VALUE, HEADER + 1], [VALUE], [VALUE, HEADER + 1]):
                self.opens(plain, seal(plain, Group(plain, cover, scope=scope, suite_id=suite, commit=suite == 1)))

    def test_groups(self):
        groups = [Group(PLAIN, [KEY], number=4, siv=OTHER, siv_master=KEYS[OTHER]),
                  Group(PLAIN, [VALUE], number=4, index=1, scope=1, suite_id=2),
                  Group(PLAIN, [HEADER], number=4, index=2, suite_id=3, commit=True),
                  Group(PLAIN, [], number=4, index=3, scope=1)]
        stored = seal(PLAIN, *groups)
        self.opens(PLAIN, stored)
        self.refused(14, stored._replace(headers=stored.headers[1:]))
        swapped = [stored.headers[1], stored.headers[0]] + stored.headers[2:]
        self.refused(14, stored._replace(headers=swapped))

    def test_most_groups_and_headers(self):
        plain = Record(None, b"v", [(b"h%d" % i, b"%d" % i) for i in range(1024)])
        groups = [Group(plain, [VALUE] * (i == 0) + list(range(2 + i, 1026, 16)), index=i, number=16)
                  for i in range(16)]
        self.opens(plain, seal(plain, *groups))

    def test_wrapped(self):
        c = context(1, ORDERS, b"")
        for wrapped in (b"\1" + keywrap.aes_key_wrap(MASTER, SECRET), wrap_gcm(c, SECRET)):
            group = Group(PLAIN, [KEY, VALUE], kind=1, wrapped=wrapped, secret=SECRET, commit=True, siv=ORDERS)
            self.opens(PLAIN, seal(PLAIN, group))

    def test_direct(self):
        for length in range(12, 17):
            group = Group(PLAIN, [KEY, VALUE, HEADER], kind=2, iv=bytes(range(length)))
            self.opens(PLAIN, seal(PLAIN, group))
        self.opens(PLAIN, seal(PLAIN, Group(PLAIN, [VALUE], kind=2, suite_id=2, reference=SHORT, master=bytes(16))))

    def test_topic_label(self):
        for label in (b"", b"x" * 1024):
            self.opens(PLAIN, seal(PLAIN, Group(PLAIN, [VALUE]), label=label), label=label)

    def test_clear_topic(self):
        self.opens(PLAIN, PLAIN, {"encryption.unencrypted.topics": "a|orders"})
        self.opens(PLAIN, seal(PLAIN, Group(PLAIN, [VALUE])), {"encryption.unencrypted.topics": "orders"})

    def test_partial(self):
        partial = {"encryption.consumer.partial": "true"}
        pair = [Group(PLAIN, [KEY, VALUE], number=2), Group(PLAIN, [HEADER], index=1, number=2, reference=LOST)]
        stored = seal(PLAIN, *pair)
        self.refused(26, stored, "KFE_E_KEY_UNKNOWN")
        self.opens(PLAIN._replace(headers=[stored.headers[2], PLAIN.headers[1]]), stored, partial)
        self.refused(30, stored._replace(value=bytes(12)), options=partial)
        whole = [Group(PLAIN, [KEY, VALUE], number=2, siv=LOST), Group(PLAIN, [HEADER], index=1, number=2)]
        stored = seal(PLAIN, *whole)
        left = Record(stored.key, stored.value, PLAIN.headers)
        self.opens(left, stored, partial)
        self.refused(26, seal(PLAIN, Group(PLAIN, [VALUE], reference=LOST)), "KFE_E_KEY_UNKNOWN", partial)
        none = seal(PLAIN, Group(PLAIN, [VALUE], reference=SHORT, number=2),
                    Group(PLAIN, [HEADER], index=1, number=2, reference=LOST))
        self.refused(27, none, "KFE_E_KEY_DENIED", partial)


class Refuses(Case):
    """One method for each section of chapter 9; steps in the order of the page."""

    def raw(self, step, plain=PLAIN, cover=(KEY, VALUE, HEADER + 1), more=None, **raw):
        """Seals with one part of the metadata overridden, so that only its form can be at fault."""
        parts = {name: bytes.fromhex(value) for name, value in raw.items()}
        self.refused(step, seal(plain, Group(plain, cover, raw=parts, **(more or {}))))

    def setUp(self):
        self.stored = seal(PLAIN, Group(PLAIN, [KEY, VALUE, HEADER + 1]))

    def with_headers(self, headers):
        return self.stored._replace(headers=headers)

    def test_9_1_unsealed(self):
        self.refused(1, PLAIN, "KFE_E_UNENCRYPTED")
        self.refused(1, PLAIN, "KFE_E_UNENCRYPTED", {"encryption.unencrypted.topics": "order"})

    def test_9_1_topic(self):
        self.refused(0, self.stored, "KFE_E_ARGUMENT", topic="t" * 1025)
        self.refused(30, self.stored, topic="t" * 1024)

    def test_9_2_place_and_length(self):
        kfe, *rest = self.stored.headers
        self.refused(3, self.with_headers(rest + [kfe]))
        self.refused(3, self.with_headers([kfe] * 17))
        self.refused(4, self.with_headers([(b"kfe", None)] + rest))
        for length in range(len(kfe[1])):
            self.refused(4, self.with_headers([(b"kfe", kfe[1][:length])] + rest))
        self.refused(13, self.with_headers([(b"kfe", kfe[1] + b"\0")] + rest))

    def test_9_2_form(self):
        self.raw(5, format="00"), self.raw(5, format="02"), self.raw(5, suite="00"), self.raw(5, suite="04")
        self.raw(6, states="0d"), self.raw(6, states="c5")
        self.raw(7, suite="03", states="85"), self.raw(7, states="86"), self.raw(7, states="a5")
        for version in ("8100", "808080808001", "ffffffff1f", "8080808080"):
            self.raw(8, version=version)
        self.raw(9, count="8108"), self.raw(9, map="04")
        self.raw(10, name="00"), self.raw(10, name="01c0"), self.raw(10, name="011f"), self.raw(10, name="017f")
        self.raw(10, name="8002" + "61" * 256), self.raw(10, name="03eda080")
        self.raw(11, version="00"), self.raw(11, more={"siv": ORDERS}, siv="0000")
        self.raw(11, more={"siv": ORDERS}, siv="066f726465727301")
        for wrapped in ("", "01" + "00" * 39, "0200", "04" + "00" * 40, "03" + "00" * 255, "03" + "00" * 513):
            self.raw(12, more={"kind": 1, "wrapped": bytes.fromhex(wrapped)})
        self.raw(12, more={"kind": 2, "iv": bytes(11)}), self.raw(12, more={"kind": 2, "iv": bytes(17)})

    def test_9_2_groups(self):
        self.raw(14, group="10"), self.raw(14, group="01")
        for cover in ([KEY], [VALUE], [HEADER]):
            pair = [Group(PLAIN, cover, index=i, number=2) for i in (0, 1)]
            self.refused(15, seal(PLAIN, *pair))
        pair = [Group(PLAIN, [VALUE], number=2), Group(PLAIN, [], index=1, number=2, raw={"count": b"\3"})]
        self.refused(15, seal(PLAIN, *pair))

    def test_9_3_headers(self):
        added, drop = (b"new", b"x"), {"encryption.consumer.added.headers": "drop"}
        keep = {"encryption.consumer.added.headers": "keep"}
        many = self.with_headers(self.stored.headers + [added] * 1023)
        self.refused(16, many), self.refused(16, many, options=drop)
        self.refused(17, self.with_headers(self.stored.headers[:-1]))
        one = self.with_headers(self.stored.headers + [added])
        self.refused(18, one)
        self.opens(PLAIN, one, drop), self.opens(PLAIN._replace(headers=PLAIN.headers + [added]), one, keep)
        twin = self.with_headers(self.stored.headers + [(b"tenant", b"evil")])
        self.refused(19, twin, options=keep), self.opens(PLAIN, twin, drop)
        self.refused(19, self.with_headers(at(self.stored.headers, 1, b"tenant")))

    def test_9_3_null(self):
        self.refused(20, self.stored._replace(key=None)), self.refused(21, self.stored._replace(value=None))
        plain = Record(None, None, [])
        stored = seal(plain, Group(plain, [KEY, VALUE]))
        self.refused(20, stored._replace(key=b"")), self.refused(21, stored._replace(value=b""))
        deterministic = seal(PLAIN, Group(PLAIN, [KEY, VALUE], siv=ORDERS))
        self.refused(20, deterministic._replace(key=None)), self.refused(22, deterministic._replace(key=bytes(16)))

    def test_9_3_size(self):
        drop = {"encryption.consumer.added.headers": "drop"}
        many = self.with_headers(self.stored.headers + [(b"new", bytes(13))])
        with unittest.mock.patch("decoder.FIELD_LIMIT", 12):
            self.opens(PLAIN, self.stored), self.opens(PLAIN, many, drop)
            self.refused(22, many, options={"encryption.consumer.added.headers": "keep"})
        with unittest.mock.patch("decoder.FIELD_LIMIT", 11):
            self.refused(22, self.stored)

    def test_9_4_policy(self):
        bare = seal(PLAIN, Group(PLAIN, [KEY]))
        self.refused(23, bare, "KFE_E_UNENCRYPTED")
        self.opens(PLAIN, bare, {"encryption.encrypt.values": "false"})
        self.opens(PLAIN, bare, {"encryption.unencrypted.topics": "orders"})
        chacha = {"encryption.algorithms": "C20P1305,A128GCM"}
        self.refused(24, self.stored, "KFE_E_SUITE", chacha)
        self.refused(25, self.stored, options={"encryption.commit": "true"})

    def test_9_4_rsa(self):
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        allow = {"encryption.keyprovider.pkcs11.allow.rsa": "true"}
        for secret, step in ((SECRET, 0), (SECRET[1:], 29)):
            wrapped = b"\3" + RSA_KEY.public_key().encrypt(secret, oaep)
            group = Group(PLAIN, [VALUE], kind=1, reference=PAIR, wrapped=wrapped, secret=secret)
            stored = seal(PLAIN, group)
            self.refused(25, stored)
            self.refused(step, stored, options=allow) if step else self.opens(PLAIN, stored, allow)

    def test_9_5_keys(self):
        self.refused(26, seal(PLAIN, Group(PLAIN, [VALUE], reference=Reference(b"orders", 2))), "KFE_E_KEY_UNKNOWN")
        lost = Group(PLAIN, [KEY, VALUE], siv=Reference(b"lost", 1))
        self.refused(26, seal(PLAIN, lost), "KFE_E_KEY_UNKNOWN")
        self.refused(27, seal(PLAIN, Group(PLAIN, [VALUE], reference=SHORT)), "KFE_E_KEY_DENIED")
        self.refused(27, seal(PLAIN, Group(PLAIN, [VALUE], kind=2, suite_id=2, master=bytes(16))), "KFE_E_KEY_DENIED")
        self.refused(27, seal(PLAIN, Group(PLAIN, [KEY, VALUE], siv=SHORT)), "KFE_E_KEY_DENIED")

    def test_9_5_order(self):
        """Group by group; within one, the commitment comes before the deterministic key."""
        wrong = {"commit": True, "raw": {"commitment": bytes(16)}}
        second = {"index": 1, "number": 2}
        for step, first, then in ((29, wrong, {"reference": LOST}), (26, {"reference": LOST}, wrong),
                                  (29, {"siv": LOST, **wrong}, {}), (26, {"siv": LOST}, wrong)):
            stored = seal(PLAIN, Group(PLAIN, [KEY, VALUE], number=2, **first),
                          Group(PLAIN, [HEADER], **second, **then))
            self.refused(step, stored, "KFE_E_AUTH" if step == 29 else "KFE_E_KEY_UNKNOWN")
            self.refused(29, stored, options={"encryption.consumer.partial": "true"})

    def test_9_5_secrets(self):
        wrong = context(2, ORDERS, b"")
        for wrapped in (b"\1" + bytes(40), wrap_gcm(wrong, SECRET)):
            self.refused(29, seal(PLAIN, Group(PLAIN, [VALUE], kind=1, wrapped=wrapped, secret=SECRET)))
        self.raw(29, more={"commit": True}, commitment="00" * 16)

    def test_9_6_tags(self):
        self.refused(30, self.stored, topic="copy"), self.refused(30, self.stored, label=b"")
        self.refused(30, self.stored._replace(key=b"4d8a")), self.refused(30, self.stored._replace(value=b""))
        self.refused(30, self.with_headers(at(self.stored.headers, 2, value=None)))
        self.refused(30, self.with_headers(at(self.stored.headers, 2, b"renamed")))
        self.opens(PLAIN._replace(headers=at(PLAIN.headers, 0, value=b"!")),
                   self.with_headers(at(self.stored.headers, 1, value=b"!")))
        clear_key = seal(PLAIN, Group(PLAIN, [VALUE]))
        self.refused(30, clear_key._replace(key=b"k-18")), self.refused(30, clear_key._replace(key=None))
        empty = seal(PLAIN, Group(PLAIN, [VALUE], number=2), Group(PLAIN, [], index=1, number=2))
        last = empty.headers[1][1]
        self.refused(30, empty._replace(headers=at(empty.headers, 1, value=last[:-1] + bytes([last[-1] ^ 1]))))

    def test_9_6_deterministic(self):
        group = Group(PLAIN, [KEY], siv=ORDERS)
        options = {"encryption.encrypt.values": "false"}
        stored = seal(PLAIN, group)
        self.refused(30, stored._replace(key=bytes(21)), options=options)
        # A key whose first plaintext byte is not 01, though every tag verifies.
        forged = AESSIV(siv_key(group)).encrypt(b"\2k-17", [b"kfe1 deterministic key"])
        clear = Record(forged, PLAIN.value, PLAIN.headers)
        bad = Group(clear, [KEY], siv=ORDERS)
        tag = seal(clear, Group(clear, [], raw={"states": b"\2", "siv": b"\0\1"})).headers[0]
        self.assertEqual(tag[1][:len(bad.metadata)], bad.metadata)
        self.refused(30, Record(forged, PLAIN.value, [tag] + PLAIN.headers), options=options)


class Varints(unittest.TestCase):
    def test_examples(self):
        for number, text in ((0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (2 ** 32 - 1, "ffffffff0f")):
            self.assertEqual(varint(number).hex(), text)
            self.assertEqual(Reader(varint(number)).varint(), number)


if __name__ == "__main__":
    unittest.main()
