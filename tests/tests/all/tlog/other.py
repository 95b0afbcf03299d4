"""Checks what cim-es wrote, or writes what cim-es is to check, with another implementation (aics_tlog).

other.py check DIRECTORY   fails with what does not hold
other.py make DIRECTORY    writes checkpoints and proofs over the CIDs in DIRECTORY/cids
"""

import base64
import sys
from pathlib import Path

from aics_tlog import (
    Checkpoint,
    FileSystemTileReader,
    MerkleTree,
    Note,
    consistency_proof_from_tiles,
    cosignature_vkey,
    format_vkey,
    inclusion_proof_from_tiles,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    sign_checkpoint,
    sign_cosignature,
    tree_root_from_tiles,
    verify_checkpoint,
    verify_consistency,
    verify_leaf_inclusion,
    vkey_from_ed25519,
)
from aics_tlog.tiles import write_tiles
from cryptography.hazmat.primitives.serialization import load_pem_private_key

ORIGIN = "example.org/library"
WITNESS = "example.net/witness"
OLD = 300


def cids(directory):
    return [bytes.fromhex(line) for line in (directory / "cids").read_text().split()]


def lines_and_note(text):
    """The lines of a proof, and the checkpoint behind them."""
    lines, note = text.split("\n\n", 1)
    return lines.split("\n"), note


def hashes(lines):
    return [base64.b64decode(line, validate=True) for line in lines]


def check(directory):
    leaves = cids(directory)
    tree = MerkleTree(leaves)
    log_key = parse_vkey((directory / "log.vkey").read_text())
    witness_key = parse_vkey((directory / "witness.vkey").read_text())

    def verified(text, quorum):
        note = parse_note(text)
        result = verify_checkpoint(note, log_key, [witness_key], quorum, expected_origin=ORIGIN)
        assert result.ok, result.error
        return parse_checkpoint(note.text)

    old = verified((directory / "old").read_text(), 0)
    new = verified((directory / "new").read_text(), 1)
    assert (old.size, old.root) == (OLD, tree.root(OLD)), old
    assert (new.size, new.root) == (len(leaves), tree.root()), new
    changed = (directory / "new").read_text().replace(f"\n{new.size}\n", f"\n{new.size + 1}\n")
    assert not verify_checkpoint(parse_note(changed), log_key, [witness_key], 0).ok

    proofs = sorted(directory.glob("*.tlog-proof"))
    assert len(proofs) > 10, proofs
    for path in proofs:
        (version, extra, index, *path_lines), note = lines_and_note(path.read_text())
        assert version == "c2sp.org/tlog-proof@v1", version
        leaf = base64.b64decode(extra.removeprefix("extra "), validate=True)
        index = int(index.removeprefix("index "))
        assert leaf == leaves[index], path
        proof = hashes(path_lines)
        assert verified(note, 1) == new, path
        assert verify_leaf_inclusion(leaf, index, new.size, proof, new.root), path
        assert proof == tree.inclusion_proof(index), path
        assert not verify_leaf_inclusion(leaves[index - 1], index, new.size, proof, new.root), path

    (size, *path_lines), note = lines_and_note((directory / "continuation").read_text())
    assert size == f"old {OLD}", size
    assert verified(note, 1) == new
    proof = hashes(path_lines)
    assert verify_consistency(OLD, new.size, old.root, new.root, proof)
    assert proof == tree.consistency_proof(OLD, new.size)

    tiles = FileSystemTileReader(directory / "tiles")
    assert tree_root_from_tiles(tiles, new.size) == new.root
    assert tree_root_from_tiles(tiles, OLD, new.size) == old.root
    assert inclusion_proof_from_tiles(tiles, 5, new.size) == tree.inclusion_proof(5)
    assert consistency_proof_from_tiles(tiles, OLD, new.size) == proof


def make(directory):
    leaves = cids(directory)
    tree = MerkleTree(leaves)
    key = load_pem_private_key((directory / "log.pem").read_bytes(), None)
    witness = load_pem_private_key((directory / "witness.pem").read_bytes(), None)
    (directory / "log.vkey").write_text(format_vkey(vkey_from_ed25519(ORIGIN, key.public_key())))
    witness_vkey = cosignature_vkey(WITNESS, witness.public_key())
    (directory / "witness.vkey").write_text(format_vkey(witness_vkey))

    def checkpoint(size):
        note = sign_checkpoint(Checkpoint(ORIGIN, size, tree.root(size)), key, ORIGIN)
        _, line = sign_cosignature(witness, WITNESS, 1767000000, ORIGIN, size, tree.root(size))
        return Note(text=note.text, signatures=(*note.signatures, line)).serialise()

    def proof(first_lines, path, note):
        lines = first_lines + [base64.b64encode(it).decode() for it in path]
        return "\n".join(lines) + "\n\n" + note

    new = checkpoint(len(leaves))
    (directory / "old").write_text(checkpoint(OLD))
    (directory / "new").write_text(new)
    for index in range(0, len(leaves), 37):
        first = ["c2sp.org/tlog-proof@v1", f"index {index}"]
        text = proof(first, tree.inclusion_proof(index), new)
        (directory / f"{index}.tlog-proof").write_text(text)
    path = tree.consistency_proof(OLD, len(leaves))
    (directory / "continuation").write_text(proof([f"old {OLD}"], path, new))
    write_tiles(leaves, directory / "tiles")
    (directory / "tiles" / "checkpoint").write_text(new)


{"check": check, "make": make}[sys.argv[1]](Path(sys.argv[2]))
