"""Reads what cim-es encrypted, and encrypts what cim-es is to read, with another implementation (pyrage).

other.py read DIRECTORY    decrypts each ours-*.age with ours.identity, and compares it with the file of that number of bytes
other.py write DIRECTORY   writes theirs.identity, and theirs-*.age to it and to the recipient in ours.recipient
"""

import sys
from pathlib import Path

import pyrage


def identity(text):
    secrets = [line for line in text.splitlines() if line.startswith("AGE-SECRET-KEY-")]
    return pyrage.x25519.Identity.from_str(secrets[0])


def read(directory):
    ours = identity((directory / "ours.identity").read_text())
    recipient = (directory / "ours.recipient").read_text().strip()
    assert str(ours.to_public()) == recipient, "the identity has another recipient"
    files = sorted(directory.glob("ours-*.age"))
    assert files, "there is nothing to read"
    for file in files:
        inside = (directory / file.name.replace("ours-", "plain-").removesuffix(".age")).read_bytes()
        assert pyrage.decrypt(file.read_bytes(), [ours]) == inside, file.name
    try:
        pyrage.decrypt(files[0].read_bytes(), [pyrage.x25519.Identity.generate()])
    except pyrage.DecryptError:
        return
    raise AssertionError("somebody else read it")


def write(directory):
    theirs = pyrage.x25519.Identity.generate()
    (directory / "theirs.identity").write_text(f"# by pyrage\n{theirs}\n")
    ours = pyrage.x25519.Recipient.from_str((directory / "ours.recipient").read_text().strip())
    for file in directory.glob("plain-*"):
        made = pyrage.encrypt(file.read_bytes(), [theirs.to_public(), ours])
        (directory / file.name.replace("plain-", "theirs-")).with_suffix(".age").write_bytes(made)


{"read": read, "write": write}[sys.argv[1]](Path(sys.argv[2]))
