"""From a plain file to a sealed one and back: gzip and age, as a stream, with the digest of what is written."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyrage
from pyrage import x25519

from charter.backup.errors import BackupError

CHUNK_BYTES = 256 * 1024
#: Fast: a database shrinks to a third with it, and the slowest level saves only a little more.
_LEVEL = 2
_GZIP = 16 + zlib.MAX_WBITS

_AGE_HEADS = (b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----")
_GZIP_HEAD = b"\x1f\x8b"


def parse_recipients(keys: Sequence[str]) -> list[x25519.Recipient]:
    """Public keys as age prints them. Raises BackupError for one with a typing error."""
    try:
        return [x25519.Recipient.from_str(key) for key in keys]
    except pyrage.RecipientError:
        raise BackupError("CHARTER_BACKUP_RECIPIENTS holds a public key with a typing error; copy it anew.") from None


def read_identities(path: Path) -> list[x25519.Identity]:
    """Secret keys of a file as `age-keygen` writes it. Raises BackupError if there is none in it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BackupError(f"The key file cannot be read: {error.strerror}.") from None
    if data.startswith(_AGE_HEADS):
        raise BackupError("The key file is itself protected by a passphrase; open it with `age -d` first.")
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines()]
    try:
        found = [x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except pyrage.IdentityError:
        found = []
    if not found:
        raise BackupError("The key file holds no secret key (a line that begins with AGE-SECRET-KEY-1).")
    return found


def make_identity() -> tuple[str, str]:
    """A new key pair: the secret key, and the public one to put into the settings."""
    identity = x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def is_encrypted(path: Path) -> bool:
    """By its first bytes, whatever its name."""
    with path.open("rb") as file:
        return file.read(64).startswith(_AGE_HEADS)


def digest_of(path: Path) -> tuple[int, str]:
    """Size in bytes and SHA-256 in hex."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return file.tell(), digest.hexdigest()


def seal(plain: Path, sealed: Path, *, recipients: Sequence[x25519.Recipient], compress: bool) -> tuple[int, str]:
    """Writes a new file, compressed where asked and encrypted to the recipients if there are any; on the disk then.

    Returns its size in bytes and its SHA-256 in hex.
    """
    with plain.open("rb") as source, _new_file(sealed) as target:
        reader = _Compressing(source) if compress else source
        writer = _Counting(target)
        if recipients:
            with _own_errors(writer):
                pyrage.encrypt_io(reader, writer, list(recipients))
        else:
            while data := reader.read(CHUNK_BYTES):
                writer.write(data)
        target.flush()
        os.fsync(target.fileno())
        return writer.size, writer.digest.hexdigest()


def unseal(sealed: Path, plain: Path, *, identities: Sequence[x25519.Identity]) -> None:
    """Writes what `seal` was given to a new file. Raises BackupError for a wrong key and for any damage."""
    with sealed.open("rb") as source, _new_file(plain) as target:
        writer = _Expanding(target)
        if is_encrypted(sealed):
            if not identities:
                raise BackupError("The backup is encrypted: name the file with the secret key by --identity.")
            try:
                with _own_errors(writer):
                    pyrage.decrypt_io(source, writer, list(identities))
            except pyrage.DecryptError as error:
                if "matching keys" in str(error):
                    raise BackupError("The backup was encrypted to other keys than the one in this file.") from None
                raise _damaged() from None
        else:
            while data := source.read(CHUNK_BYTES):
                writer.write(data)
        writer.end()
        target.flush()
        os.fsync(target.fileno())


def _damaged() -> BackupError:
    return BackupError("The backup is damaged or not complete; take another one.")


def _new_file(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=CHUNK_BYTES)


class _Counting:
    """Writes on, and remembers how much, with which digest, and the error that the library would repeat as text."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self.size = 0
        self.digest = hashlib.sha256()
        self.error: Exception | None = None

    def write(self, data: bytes) -> int:
        try:
            self._take(data)
        except Exception as error:
            self.error = error
            raise
        return len(data)

    def _take(self, data: bytes) -> None:
        self._target.write(data)
        self.size += len(data)
        self.digest.update(data)

    def flush(self) -> None:
        self._target.flush()


class _Expanding(_Counting):
    """Expands what was compressed, and passes on everything else."""

    def __init__(self, target: BinaryIO) -> None:
        super().__init__(target)
        self._expander: zlib._Decompress | None = None
        self._head = b""

    def _take(self, data: bytes) -> None:
        if self.size == 0:
            self._head += data
            if len(self._head) < len(_GZIP_HEAD):
                return
            data = self._head
            if data.startswith(_GZIP_HEAD):
                self._expander = zlib.decompressobj(_GZIP)
        self.size += len(data)
        while self._expander is not None and data:
            try:
                self._target.write(self._expander.decompress(data, CHUNK_BYTES))
            except zlib.error:
                raise _damaged() from None
            if self._expander.unused_data:
                raise _damaged()
            data = self._expander.unconsumed_tail
        if self._expander is None:
            self._target.write(data)

    def end(self) -> None:
        """Raises BackupError if something is missing."""
        if self._expander is not None:
            self._target.write(self._expander.flush())
        if self.size == 0 or (self._expander is not None and not self._expander.eof):
            raise _damaged()


class _Compressing:
    """Reads compressed what is read plain."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._ready = bytearray()
        self._has_ended = False

    def read(self, size: int) -> bytes:
        while len(self._ready) < size and not self._has_ended:
            data = self._source.read(CHUNK_BYTES)
            self._ready += self._compressor.compress(data) if data else self._compressor.flush()
            self._has_ended = not data
        taken = bytes(self._ready[:size])
        del self._ready[:size]
        return taken


@contextmanager
def _own_errors(writer: _Counting) -> Iterator[None]:
    """The library wraps or renames what goes wrong: our own errors come out as they were, all others as damage."""
    try:
        yield
    except (pyrage.EncryptError, pyrage.DecryptError, OSError) as error:
        if writer.error is not None:
            raise writer.error from None
        if isinstance(error, OSError) and error.errno is None:
            raise _damaged() from None
        raise
