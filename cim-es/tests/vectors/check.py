#!/usr/bin/env python3
"""Checks blocks.json with nothing but Python's standard library: an implementation of its own of strict dag-cbor, CIDs,
SHA2-256 and BLAKE3, so that the vectors do not merely agree with the program that wrote them.

    check.py [blocks.json]
"""

import base64
import hashlib
import json
import math
import os
import struct
import sys

ENVELOPE_KEYS = [
    "v", "id", "meta", "type", "commit", "schema", "source", "parents", "payload", "previous", "sequence", "aggregate",
    "timestamp", "encryption", "aggregate_id", "causation_id", "correlation_id",
]
OPTIONAL_KEYS = {"meta", "source", "encryption"}
# Of `meta`, in bytes.
MAX_META = 2048
# Lists and maps of a payload, which stands in the array of the body.
MAX_DEPTH = 126


class Refused(Exception):
    """Bytes that are not what they should be."""


class Link:
    """A link of dag-cbor: the CID in binary form."""

    def __init__(self, cid):
        self.cid = cid


# BLAKE3 of at most one chunk (1,024 bytes), from the specification.

IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
CHUNK_START, CHUNK_END, ROOT = 1, 2, 8


def rotate(word, count):
    return (word >> count | word << (32 - count)) & 0xFFFFFFFF


def mix(state, a, b, c, d, x, y):
    for word, first, second in ((x, 16, 12), (y, 8, 7)):
        state[a] = (state[a] + state[b] + word) & 0xFFFFFFFF
        state[d] = rotate(state[d] ^ state[a], first)
        state[c] = (state[c] + state[d]) & 0xFFFFFFFF
        state[b] = rotate(state[b] ^ state[c], second)


def compress(chaining, words, length, flags):
    state = chaining + IV[:4] + [0, 0, length, flags]
    for _ in range(7):
        for column in range(4):
            mix(state, column, 4 + column, 8 + column, 12 + column, words[2 * column], words[2 * column + 1])
        for diagonal in range(4):
            mix(
                state, diagonal, 4 + (diagonal + 1) % 4, 8 + (diagonal + 2) % 4, 12 + (diagonal + 3) % 4,
                words[8 + 2 * diagonal], words[9 + 2 * diagonal],
            )
        words = [words[place] for place in PERMUTATION]
    return [low ^ high for low, high in zip(state[:8], state[8:])]


def blake3(data):
    if len(data) > 1024:
        raise ValueError("this BLAKE3 hashes at most one chunk")
    blocks = [data[at:at + 64] for at in range(0, len(data), 64)] or [b""]
    chaining = IV
    for number, block in enumerate(blocks):
        flags = CHUNK_START if number == 0 else 0
        if number == len(blocks) - 1:
            flags |= CHUNK_END | ROOT
        words = list(struct.unpack("<16I", block.ljust(64, b"\0")))
        chaining = compress(chaining, words, len(block), flags)
    return struct.pack("<8I", *chaining)


HASHES = {0x12: lambda data: hashlib.sha256(data).digest(), 0x1E: blake3}


# CIDs


def make_cid(code, data):
    return bytes([1, 0x71, code, 32]) + HASHES[code](data)


def cid_text(cid):
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


def parse_cid(cid):
    """The binary form of a CID that an event may have."""
    if len(cid) != 36 or cid[:2] != b"\x01\x71" or cid[2] not in HASHES or cid[3] != 32:
        raise Refused("no CID of version 1, dag-cbor, sha2-256 or blake3 with 32 bytes")
    return cid


def parse_cid_text(text):
    if text[:1] != "b" or text != text.lower():
        raise Refused("no CID in base 32")
    body = text[1:].upper()
    try:
        cid = base64.b32decode(body + "=" * (-len(body) % 8))
    except ValueError as error:
        raise Refused(str(error)) from error
    return parse_cid(cid)


def fits(cid, data):
    return HASHES[cid[2]](data) == cid[4:]


def varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data):
            raise Refused("a link that is cut off")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            if byte == 0 and shift > 7:
                raise Refused("a varint that is not minimal")
            return value, at


def check_any_cid(cid):
    """Any well-formed CID, with nothing behind it."""
    if cid[:2] == b"\x12\x20":
        if len(cid) != 34:
            raise Refused("a CID of version 0 has 34 bytes")
        return
    version, at = varint(cid, 0)
    _codec, at = varint(cid, at)
    _code, at = varint(cid, at)
    length, at = varint(cid, at)
    if version != 1 or len(cid) - at != length:
        raise Refused("no CID, or bytes behind it")


# Strict dag-cbor


def decode(data, at, depth):
    """The value that starts at a place, and where it ends."""
    if at >= len(data):
        raise Refused("the bytes end early")
    start, first = at, data[at]
    major, info = first >> 5, first & 0x1F
    at += 1
    if major == 7:
        if first in (0xF4, 0xF5, 0xF6):
            return {0xF4: False, 0xF5: True, 0xF6: None}[first], at
        if first != 0xFB or at + 8 > len(data):
            raise Refused("a simple value other than false, true, null and floats of 64 bits")
        value = struct.unpack(">d", data[at:at + 8])[0]
        if not math.isfinite(value) or (value == 0 and math.copysign(1, value) < 0):
            raise Refused("a float that has no place in dag-cbor")
        return value, at + 8
    if info < 24:
        argument = info
    elif info < 28:
        width = 1 << (info - 24)
        argument = int.from_bytes(data[at:at + width], "big")
        if at + width > len(data) or argument < (24, 1 << 8, 1 << 16, 1 << 32)[info - 24]:
            raise Refused("a head that is cut off or not minimal")
        at += width
    else:
        raise Refused("an indefinite length or a reserved head")
    if major == 0:
        return argument, at
    if major == 1:
        return -1 - argument, at
    if major in (2, 3):
        if at + argument > len(data):
            raise Refused("the bytes end early")
        value = data[at:at + argument]
        if major == 3:
            try:
                value = value.decode("utf-8")
            except UnicodeDecodeError as error:
                raise Refused("not UTF-8") from error
        return value, at + argument
    if major == 6:
        if argument != 42:
            raise Refused("a tag other than 42")
        value, at = decode(data, at, depth)
        if not isinstance(value, bytes) or value[:1] != b"\0":
            raise Refused("a link that is no byte string, or lacks the zero byte")
        check_any_cid(value[1:])
        return Link(value[1:]), at
    if depth == 0:
        raise Refused("too deep")
    if major == 4:
        values = []
        for _ in range(argument):
            value, at = decode(data, at, depth - 1)
            values.append(value)
        return values, at
    entries, last = {}, None
    for _ in range(argument):
        key, at = decode(data, at, 0)
        if not isinstance(key, str):
            raise Refused("a key that is no text")
        order = (len(key.encode()), key.encode())
        if last is not None and last >= order:
            raise Refused("keys that are not sorted, or stand twice")
        last = order
        entries[key], at = decode(data, at, depth - 1)
    return entries, at


def payload_of(data):
    value, end = decode(data, 0, MAX_DEPTH)
    if end != len(data) or not isinstance(value, dict):
        raise Refused("not exactly one map")
    return value


def check_part(part):
    """Where an event stands among those of its aggregate in the commit, and among all of them."""
    if len(part) != 4 or not all(isinstance(number, int) for number in part):
        raise Refused("a place in a commit has four numbers")
    index, count, whole_index, whole_count = part
    if not (1 <= index <= count and index <= whole_index <= whole_count):
        raise Refused("an index that is not within its count")
    if count - index > whole_count - whole_index:
        raise Refused("a commit without room for the other events of the aggregate")


def head_length(argument):
    return 1 + next(width for width, limit in ((0, 24), (1, 1 << 8), (2, 1 << 16), (4, 1 << 32), (8, 1 << 64)) if argument < limit)


def text_length(text):
    return head_length(len(text.encode())) + len(text.encode())


def check_meta(meta):
    """Texts, bools, integers and links, at least one and at most 2 KB."""
    if not isinstance(meta, dict) or not meta:
        raise Refused("`meta` is no map, or an empty one")
    length = head_length(len(meta))
    for name, value in meta.items():
        length += text_length(name)
        if isinstance(value, bool):
            length += 1
        elif isinstance(value, int):
            length += head_length(value if value >= 0 else -1 - value)
        elif isinstance(value, str):
            length += text_length(value)
        elif isinstance(value, Link):
            length += 2 + head_length(1 + len(value.cid)) + 1 + len(value.cid)
        else:
            raise Refused("not a text, a bool, an integer or a link")
    if length > MAX_META:
        raise Refused("`meta` is too large")


def follows(last, part):
    """Whether an aggregate's next event can stand there in its commit."""
    if last[0] == last[1]:
        return part[0] == 1
    return part[0] == last[0] + 1 and part[1] == last[1] and part[2] > last[2] and part[3] == last[3]


def envelope_of(body):
    """The envelope of a body and where it ends."""
    if body[:1] != b"\x82":
        raise Refused("no array of two in its shortest form")
    envelope, end = decode(body, 1, MAX_DEPTH)
    if not isinstance(envelope, dict) or envelope.get("v") != 1:
        raise Refused("no envelope of format 1")
    if [key for key in ENVELOPE_KEYS if key not in OPTIONAL_KEYS or key in envelope] != list(envelope):
        raise Refused("the fields are not those of an envelope")
    parse_cid(envelope["payload"].cid)
    for link in envelope["parents"] + [envelope["previous"]]:
        if link is not None:
            parse_cid(link.cid)
    check_part(envelope["commit"])
    if "meta" in envelope:
        check_meta(envelope["meta"])
    parents = [parent.cid for parent in envelope["parents"]]
    if parents != sorted(set(parents)):
        raise Refused("parents that are not sorted, or stand twice")
    return envelope, end


def prove(cid, body):
    envelope, end = envelope_of(body)
    if not fits(cid, body[1:end]):
        raise Refused("the envelope does not hash to its CID")
    if not fits(envelope["payload"].cid, body[end:]):
        raise Refused("the payload does not hash to its link")
    payload_of(body[end:])
    return envelope


# The vectors


def refuses(function, *arguments):
    try:
        function(*arguments)
    except Refused:
        return True
    return False


def check_chain(chain):
    previous, commit = None, [1, 1, 1, 1]
    for number, block in enumerate(chain["blocks"], 1):
        cid = parse_cid_text(block["cid"])
        envelope = prove(cid, bytes.fromhex(block["body"]))
        assert envelope["sequence"] == block["sequence"] == number
        assert envelope["type"] == block["type"]
        assert cid_text(envelope["payload"].cid) == block["payload_cid"]
        assert (envelope["previous"] and cid_text(envelope["previous"].cid)) == previous == block["previous"]
        assert envelope["commit"] == block["commit"]
        assert follows(commit, envelope["commit"])
        assert len(envelope.get("meta", {})) == block["meta"]
        assert [len(envelope[key]) for key in ("id", "causation_id", "correlation_id")] == [16, 16, 16]
        previous, commit = block["cid"], envelope["commit"]
    assert commit[0] == commit[1]
    assert chain["head"] == {"sequence": len(chain["blocks"]), "cid": previous}


def check_payload(vector):
    data = bytes.fromhex(vector["bytes"])
    payload_of(data)
    for name, code in (("sha2-256", 0x12), ("blake3", 0x1E)):
        assert cid_text(make_cid(code, data)) == vector[name], name
        assert parse_cid_text(vector[name]) == make_cid(code, data)


def check_payload_refused(vector):
    assert refuses(payload_of, bytes.fromhex(vector["bytes"]))


def check_cid_refused(vector):
    assert refuses(parse_cid, bytes.fromhex(vector["bytes"]))
    assert vector["text"] is None or refuses(parse_cid_text, vector["text"])


def check_block_refused(vector):
    assert refuses(prove, parse_cid_text(vector["cid"]), bytes.fromhex(vector["body"]))


CHECKS = {
    "chains": check_chain,
    "payloads": check_payload,
    "payloads_refused": check_payload_refused,
    "cids_refused": check_cid_refused,
    "blocks_refused": check_block_refused,
}


def main():
    default = os.path.join(os.path.dirname(os.path.abspath(__file__)), "blocks.json")
    with open(sys.argv[1] if len(sys.argv) > 1 else default, encoding="utf-8") as file:
        vectors = json.load(file)
    failures = count = 0
    for name, check in CHECKS.items():
        for vector in vectors[name]:
            count += 1
            try:
                check(vector)
            except (AssertionError, Refused) as error:
                failures += 1
                print(f"{name}: {vector['shows']}: {error!r}")
    print(f"{count} vectors, {failures} disagree" if failures else f"{count} vectors, all agree")
    return 1 if failures or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
