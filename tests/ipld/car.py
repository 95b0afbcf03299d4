"""Reads a CAR file with the libraries of Python, hashes and decodes every block again, prints its CIDs, and writes what it
has decoded to another CAR file: `car.py FROM TO`."""

import hashlib
import sys

import dag_cbor
import libipld
from multiformats import CID


def varint(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def framed(data):
    length, out = len(data), bytearray()
    while length >= 0x80:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out) + data


def sections(data):
    at = 0
    while at < len(data):
        length, at = varint(data, at)
        yield data[at : at + length]
        at += length


def main(source, target):
    data = open(source, "rb").read()
    header, *blocks = sections(data)
    header = dag_cbor.decode(header)
    assert header["version"] == 1, header
    print("roots", *(root.encode("base32") for root in header["roots"]))

    # The other library reads the file as a whole.
    theirs, decoded = libipld.decode_car(data)
    assert len(theirs["roots"]) == len(header["roots"]), theirs
    decoded = {bytes(cid): value for cid, value in decoded.items()}

    with open(target, "wb") as out:
        out.write(framed(dag_cbor.encode(header)))
        for section in blocks:
            cid, block = CID.decode(section[:36]), section[36:]
            assert cid.version == 1 and cid.codec.name == "dag-cbor" and cid.hashfun.name == "sha2-256", cid
            assert cid.raw_digest == hashlib.sha256(block).digest(), f"{cid} is not the hash of its block"
            value = dag_cbor.decode(block, require_multicodec=False)
            encoded = dag_cbor.encode(value)
            assert encoded == block, f"{cid} is not canonical"
            assert bytes(cid) in decoded, f"libipld does not find {cid}"
            assert decoded[bytes(cid)] == libipld.decode_dag_cbor(block), f"libipld reads {cid} otherwise"
            print("block", cid.encode("base32"), len(block))
            out.write(framed(bytes(cid) + encoded))


main(*sys.argv[1:])
