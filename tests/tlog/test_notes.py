"""Keys, notes, checkpoints and receipts: what others have signed is verified, and nothing is taken that was changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.tlog import note, proof, tree
from tests.tlog.history import ORIGIN, SIGNER, STRANGER, VKEY, History, checks, key_of

#: The Go checksum database on the 23rd of September 2024, and its key as Go has it.
GO_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
GO_NOTE = """\
go.sum database tree
30055305
mXfgRcJ0bG0j3CPdKwgGWtUzBUbX67saZGRmFuJGGsM=

— sum.golang.org Az3grpgEild5qw7+5dtV13Kf1C2Xurm8q4fhdxvcsDHnqNTaxL2AFjBY+2TyGKevucFcAAlWFJJYle3EJlDCrQ+y3A8=
"""
#: A certificate log, with lines of its own of another kind and four witnesses.
CT_KEY = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
WITNESS_KEY = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
CT_NOTE = """\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIg\
IpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA2\
3oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v\
7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0t\
gh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWf\
Bw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/T\
mN9DAg==
"""
#: The example of C2SP signed-note, and the one of the package documentation of Go.
EXAMPLES = [
    (
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        b"This is an example message.\n",
        "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=",
    ),
    (
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n",
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=",
    ),
]
KEY = key_of(SIGNER)


@pytest.mark.parametrize(("vkey", "text", "signature"), EXAMPLES)
def test_the_examples_of_the_specifications_verify(vkey: str, text: bytes, signature: str) -> None:
    key, data = note.parse_key(vkey), note.decoded(signature)
    assert key.text == vkey
    assert data[:4] == key.id
    assert checks(key.public, data[4:], text)
    assert not checks(key.public, data[4:], text[:-1])


def test_a_checkpoint_that_go_has_signed_verifies() -> None:
    key = note.parse_key(GO_KEY)
    checkpoint, (signature,) = note.read(GO_NOTE)
    assert checkpoint.size == 30_055_305
    assert note.write(checkpoint, [signature]) == GO_NOTE
    assert signature.key_id == key.id
    assert checks(key.public, signature.value, checkpoint.body.encode())
    # Its origin is another than the name of its key: of our log both are one.
    with pytest.raises(note.NoteError, match="origin"):
        note.verify(GO_NOTE, key, checks)


def test_a_checkpoint_with_foreign_lines_and_witnesses_verifies() -> None:
    checkpoint = note.verify(CT_NOTE, note.parse_key(CT_KEY), checks)
    assert checkpoint.size == 1_432_088_532
    found, signatures = note.read(CT_NOTE)
    witness = note.parse_key(WITNESS_KEY)
    assert witness.kind == note.COSIGNATURE
    assert note.verify_cosignature(found, signatures, witness, checks) == 0x6A122120
    changed = note.Checkpoint(found.origin, found.size + 1, found.root)
    with pytest.raises(note.NoteError, match="cosignature"):
        note.verify_cosignature(changed, signatures, witness, checks)


def test_every_part_and_every_change_of_a_key_is_refused() -> None:
    vkey = EXAMPLES[1][0]
    for first in range(len(vkey)):
        for end in range(first + 1, len(vkey) + 1):
            if (first, end) != (0, len(vkey)):
                with pytest.raises(note.NoteError):
                    note.parse_key(vkey[first:end])
    for place, char in enumerate(vkey):
        with pytest.raises(note.NoteError):
            note.parse_key(vkey[:place] + chr(ord(char) + 1) + vkey[place + 1 :])
    for wrong in (
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",  # too long
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",  # of no kind that we know
        "\ud800+00000000+AQ==",
        "",
    ):
        with pytest.raises(note.NoteError):
            note.parse_key(wrong)


def test_the_message_of_a_cosignature_is_that_of_the_specification() -> None:
    root = note.decoded("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
    checkpoint = note.Checkpoint("example.com/behind-the-sofa", 20_852_163, root)
    assert note.cosignature_message(checkpoint, 1_679_315_147).decode() == (
        "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )


def test_a_witness_is_believed_for_what_it_signed_and_when() -> None:
    sign = STRANGER.keys[0][1]
    witness = note.Key("witness.example/w1", note.COSIGNATURE, STRANGER.keys[0][0].public)
    checkpoint = note.Checkpoint(ORIGIN, 5, bytes(32))
    line = note.cosign(checkpoint, witness, sign, time=1_700_000_000)
    assert note.verify_cosignature(checkpoint, [line], witness, checks) == 1_700_000_000
    other_time = note.Signature(line.name, line.key_id, b"\x01" + line.value[1:])
    of_a_log = note.Key(witness.name, note.ED25519, witness.public)
    for signatures, key in (([other_time], witness), ([], witness), ([line], of_a_log), ([line], KEY)):
        with pytest.raises(note.NoteError):
            note.verify_cosignature(checkpoint, signatures, key, checks)


GOOD = SIGNER.sign(5, bytes(range(32)))


def test_a_note_is_written_as_it_is_read() -> None:
    checkpoint, signatures = note.read(GOOD)
    assert note.write(checkpoint, signatures) == GOOD
    assert note.verify(GOOD, KEY, checks) == checkpoint
    assert note.parse_key(VKEY) == KEY


@given(st.integers(0, len(GOOD.encode()) - 1), st.integers(1, 255))
def test_a_note_of_which_one_byte_was_changed_is_refused(place: int, by: int) -> None:
    data = bytearray(GOOD.encode())
    data[place] ^= by
    with pytest.raises(ValueError, match=r".+"):  # UnicodeDecodeError and NoteError are both
        note.verify(data.decode("utf-8"), KEY, checks)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        GOOD[:-1],
        GOOD + "\n",
        GOOD.replace("\n5\n", "\n05\n"),
        GOOD.replace("\n5\n", "\n+5\n"),
        GOOD.replace("\n5\n", "\n-5\n"),
        GOOD.replace("\n5\n", "\n٥\n"),
        GOOD.replace("\n5\n", "\n5\nextension\n"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace(ORIGIN + "\n", "\n"),
        GOOD.replace(ORIGIN + "\n", ORIGIN + "\t\n"),
        GOOD.replace("— ", "- "),
        GOOD.partition("\n\n")[0] + "\n\n",
        GOOD.partition("\n\n")[0] + "\n\n\n",
        GOOD + "— a AAAA\n",
        GOOD + "— a b AAAAAAA=\n",
        GOOD + 65 * "— a AAAAAAA=\n",
        GOOD + "— \ud800 AAAAAAA=\n",
    ],
)
def test_a_note_in_any_other_form_is_refused(wrong: str) -> None:
    with pytest.raises(note.NoteError):
        note.verify(wrong, KEY, checks)


def test_lines_of_strangers_are_passed_over_and_a_wrong_one_of_our_own_spoils_the_note() -> None:
    checkpoint, (good,) = note.read(GOOD)
    foreign = note.sign(checkpoint, *STRANGER.keys[0])
    assert note.verify(note.write(checkpoint, [foreign, good]), KEY, checks) == checkpoint
    wrong = note.Signature(good.name, good.key_id, bytes(64))
    short = note.Signature(good.name, good.key_id, good.value[:-1])
    for signatures in ([foreign], [good, wrong], [wrong, good], [short], [good, short]):
        with pytest.raises(note.NoteError, match="signature"):
            note.verify(note.write(checkpoint, signatures), KEY, checks)


def test_a_log_may_sign_with_two_keys_and_either_is_enough() -> None:
    from benchmarks.log_files import make_signer

    both = make_signer(ORIGIN, bytes(range(32)), bytes(range(1, 33)))
    text = both.sign(7, bytes(32))
    for signer in (SIGNER, STRANGER):
        assert note.verify(text, key_of(signer), checks).size == 7


@given(st.text(max_size=200))
def test_any_text_is_a_note_or_refused(text: str) -> None:
    with pytest.raises(note.NoteError):
        note.verify(text, KEY, checks)


# ── receipts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _told() -> History:
    history = History()
    history.sign_up(6)
    return history


TOLD = _told()
RECEIPT = TOLD.receipt(8)


def test_a_receipt_is_written_as_it_is_read_and_proves_its_leaf() -> None:
    found = proof.read(RECEIPT)
    assert proof.write(found) == RECEIPT
    assert RECEIPT.startswith("c2sp.org/tlog-proof@v1\nextra ")
    assert found.extra == TOLD.leaves[8]
    assert proof.verify(found, KEY, checks).size == len(TOLD.leaves)


def test_every_leaf_has_a_receipt_at_every_size() -> None:
    for size in range(1, len(TOLD.leaves) + 1):
        for index in range(size):
            proof.verify(proof.read(TOLD.receipt(index, size)), KEY, checks)


@given(st.integers(0, len(RECEIPT.encode()) - 1), st.integers(1, 255))
def test_a_receipt_of_which_one_byte_was_changed_is_refused(place: int, by: int) -> None:
    data = bytearray(RECEIPT.encode())
    data[place] ^= by
    with pytest.raises(ValueError, match=r".+"):  # ProofError too
        proof.verify(proof.read(data.decode("utf-8")), KEY, checks)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        RECEIPT.replace("@v1", "@v2"),
        RECEIPT.replace("\nindex 8\n", "\nindex 08\n"),
        RECEIPT.replace("\nindex 8\n", "\nindex -8\n"),
        RECEIPT.replace("\nindex 8\n", "\nindex 99999999999999999999\n"),
        RECEIPT.replace("\nindex 8\n", "\nindex 8\nAAAA\n"),
        RECEIPT.replace("\nindex 8\n", "\nindex 8\n" + 64 * (43 * "A" + "=\n")),
        RECEIPT.replace("\n\n", "\n\n\n", 1),
        RECEIPT.partition("\n\n")[0],
    ],
)
def test_a_receipt_in_any_other_form_is_refused(wrong: str) -> None:
    with pytest.raises((note.NoteError, tree.ProofError)):
        proof.verify(proof.read(wrong), KEY, checks)


@given(st.text(max_size=300))
def test_any_text_behind_the_header_is_a_receipt_or_refused(text: str) -> None:
    with pytest.raises((note.NoteError, tree.ProofError)):
        proof.verify(proof.read(proof.HEADER + "\n" + text), KEY, checks)
