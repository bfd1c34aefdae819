# SPDX-License-Identifier: Apache-2.0
"""The envelope of the kfe wire format, version 1: sections 1, 3 and 9.2 of docs/format.md."""
from collections import namedtuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

Reference = namedtuple("Reference", "name version")
Suite = namedtuple("Suite", "name cipher key_length")

SUITES = {1: Suite("A256GCM", AESGCM, 32), 2: Suite("A128GCM", AESGCM, 16),
          3: Suite("C20P1305", ChaCha20Poly1305, 32)}
DERIVED, WRAPPED, DIRECT = 0, 1, 2
SEALED, DETERMINISTIC, NULL_KEY, NULL_VALUE = 1, 2, 3, 2
RSA, WRAPPED_LENGTHS = 3, {1: (40,), 2: (60,), 3: range(256, 513)}
KEY, VALUE, HEADER, EMPTY_GROUP, WHOLE_RECORD = 0, 1, 2, 65534, 65535  # ordinals, section 6


class Refused(Exception):
    """A record that does not open: step is the row of section 9, code the name of the error."""

    def __init__(self, step, why, code="KFE_E_AUTH"):
        super().__init__(f"{code}, step {step}: {why}")
        self.step, self.code = step, code


def refuse_if(bad, step, why, code="KFE_E_AUTH"):
    if bad:
        raise Refused(step, why, code)


# Section 1: integers and lengths.

def u(size, number):
    return number.to_bytes(size, "big")


def varint(number):
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def lp(data):
    return varint(len(data)) + data


class Reader:
    """Takes an envelope apart from the front, and refuses what is cut short or badly spelled."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        refuse_if(self.at + length > len(self.data), 4, "the envelope is cut short")
        self.at += length
        return self.data[self.at - length:self.at]

    def u(self, size):
        return int.from_bytes(self.take(size), "big")

    def varint(self):
        number = 0
        for shift in range(0, 35, 7):
            byte = self.u(1)
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                refuse_if(byte == 0 and shift > 0, 8, "a varint is not minimal")
                refuse_if(number >= 1 << 32, 8, "a varint exceeds 2^32 - 1")
                return number
        raise Refused(8, "a varint is longer than five bytes")

    def lp(self):
        return self.take(self.varint())

    def name(self):
        name = self.lp()
        refuse_if(len(name) > 255, 10, "a key name is too long")
        try:
            text = name.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused(10, "a key name is not UTF-8") from None
        refuse_if(any(c < " " or c == "\x7f" for c in text), 10, "a key name has a control character")
        return name

    def version(self):
        version = self.varint()
        refuse_if(version == 0, 11, "version 0")
        return version


class Envelope:
    """Section 3: what one `kfe` header says of its group; refuses by steps 4 to 13."""

    def __init__(self, data):
        refuse_if(data is None, 4, "an envelope is null")
        read = Reader(data)
        refuse_if(read.u(1) != 1, 5, "unknown format")
        self.suite_id = read.u(1)
        refuse_if(self.suite_id not in SUITES, 5, "unknown suite")
        self.suite = SUITES[self.suite_id]
        self._read_states(read.u(1))
        group = read.u(1)
        self.index, self.number = group >> 4, (group & 15) + 1
        self.count = read.varint()
        refuse_if(self.count > 1024, 9, "a header count above 1024")
        bits = int.from_bytes(read.take((self.count + 7) // 8), "little")
        refuse_if(bits >> self.count, 9, "a header map with bits above the count")
        self.covered = [i for i in range(self.count) if bits >> i & 1]
        name = read.name()
        refuse_if(not name, 10, "an empty key name")
        self.reference = Reference(name, read.version())
        self.deterministic = self._read_deterministic(read) if self.key_state == DETERMINISTIC else None
        self._read_session(read)
        self.commitment = read.take(16) if self.committed else None
        self.counter = read.u(6)
        self.metadata = data[:read.at]
        # The fields that have a tag of their own, or share the record's, by ordinal.
        self.fields = ([KEY] * (self.key_state == SEALED) + [VALUE] * (self.value_state != 0)
                       + [HEADER + i for i in self.covered])
        tags = 1 if self.record_scope else max(1, len(self.fields))
        self.tags = [(read.take(self.iv_length), read.take(16)) for _ in range(tags)]
        refuse_if(read.at != len(data), 13, "bytes follow the tags")

    def _read_states(self, states):
        self.key_state, self.value_state = states & 3, states >> 2 & 3
        self.record_scope, self.committed = states >> 4 & 1, states >> 5 & 1
        self.kind = states >> 6
        refuse_if(self.value_state == 3, 6, "value state 3")
        refuse_if(self.kind == 3, 6, "session kind 3")
        refuse_if(self.kind == DIRECT and (self.suite_id == 3 or self.key_state == DETERMINISTIC
                                           or self.committed), 7, "a direct session cannot do that")

    def _read_deterministic(self, read):
        name = read.name()
        refuse_if(name == self.reference.name, 11, "the group's own key name is spelled out")
        return Reference(name or self.reference.name, read.version())

    def _read_session(self, read):
        self.salt, self.wrapped, self.form, self.iv_length = b"", None, None, 0
        if self.kind == WRAPPED:
            self.wrapped = read.lp()
            self.form = self.wrapped[0] if self.wrapped else None
            known = len(self.wrapped) - 1 in WRAPPED_LENGTHS.get(self.form, ())
            refuse_if(not known, 12, "a wrapped secret of unknown form or wrong length")
            return
        self.salt = read.take(16)
        if self.kind == DIRECT:
            self.iv_length = read.u(1)
            refuse_if(not 12 <= self.iv_length <= 16, 12, "an IV length outside 12 to 16")

    def context(self):
        """C of section 5.2; the salt of a wrapped session is empty."""
        return context(self.suite_id, self.reference, self.salt)


def context(suite_id, reference, salt):
    return u(1, suite_id) + lp(reference.name) + u(4, reference.version) + salt
