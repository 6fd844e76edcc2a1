"""Where a log's files are read from: a folder, such as a mirror, or the service itself over http."""

from __future__ import annotations

import http.client
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")

TIMEOUT_SECONDS = 30.0
#: Requests at once: enough to be quick, few enough to be no burden.
AT_ONCE = 6
#: Before it asks again.
PAUSES_SECONDS = (1.0, 4.0)
_PIECE_BYTES = 256 * 1024
_WAIT_AND_ASK_AGAIN = {429, 500, 502, 503, 504}


class SourceError(Exception):
    """Something could not be read: the world failed, which proves nothing about the log."""


class TooLargeError(Exception):
    """A file is larger than any right one."""


class Source(Protocol):
    """Files by their addresses below the base, such as `log/checkpoint`."""

    def read(self, path: str, most: int) -> bytes | None:
        """The whole file; None if there is none. Raises SourceError, and TooLargeError beyond `most` bytes."""

    def open(self, path: str, most: int) -> BinaryIO | None:
        """The file as a stream of at most so many bytes, to be closed by the caller. Raises as `read` does."""

    def ahead(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """`work` of each item in order, done ahead where that is quicker."""


class Folder:
    """Files of a mirror or a copy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, path: str, most: int) -> bytes | None:
        """See Source."""
        found = self._find(path, most)
        if found is None:
            return None
        try:
            return found.read_bytes()
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from None

    def open(self, path: str, most: int) -> BinaryIO | None:
        """See Source."""
        found = self._find(path, most)
        try:
            return None if found is None else found.open("rb")
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from None

    def ahead(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """See Source."""
        return map(work, items)

    def _find(self, path: str, most: int) -> Path | None:
        found = self._folder / path
        try:
            if not found.exists():
                return None
            if not found.is_file():
                raise SourceError(f"{path} is no file")
            if found.stat().st_size > most:
                raise TooLargeError(path)
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from None
        return found


class Web:
    """Files of a service or a mirror. Asks again a little later where the other side is busy."""

    def __init__(self, base: str) -> None:
        if not base.startswith(("http://", "https://")):
            raise SourceError("an address begins with http:// or https://")
        try:
            urllib.parse.urlsplit(base)
        except ValueError:
            raise SourceError("this is no address") from None
        self._base = base.rstrip("/")

    def read(self, path: str, most: int) -> bytes | None:
        """See Source."""

        def whole(answer: http.client.HTTPResponse) -> bytes:
            return b"".join(_pieces(answer, path, most))

        return self._ask(path, whole)

    def open(self, path: str, most: int) -> BinaryIO | None:
        """Spooled into a temporary file, so that no connection waits while the log is read."""

        def spooled(answer: http.client.HTTPResponse) -> BinaryIO:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
            try:
                file.writelines(_pieces(answer, path, most))
                file.seek(0)
            except BaseException:
                file.close()
                raise
            return file

        return self._ask(path, spooled)

    def ahead(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """A few requests at once, in threads."""
        waiting: list[Future[R]] = []
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                for item in items:
                    waiting.append(pool.submit(work, item))
                    if len(waiting) > 2 * AT_ONCE:
                        yield waiting.pop(0).result()
                while waiting:
                    yield waiting.pop(0).result()
            finally:
                for one in waiting:
                    one.cancel()

    def _ask(self, path: str, take: Callable[[http.client.HTTPResponse], R]) -> R | None:
        request = urllib.request.Request(  # noqa: S310 - http and https only, see __init__
            f"{self._base}/{path}", headers={"User-Agent": "charter-verify/1", "Accept-Encoding": "identity"}
        )
        for pause in (*PAUSES_SECONDS, None):
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                    return take(answer)
            except urllib.error.HTTPError as error:
                error.close()
                if error.code in {404, 410}:
                    return None
                reason = f"status {error.code}"
                if error.code not in _WAIT_AND_ASK_AGAIN:
                    pause = None
            except (OSError, http.client.HTTPException, ValueError) as error:
                reason = str(getattr(error, "reason", "")) or type(error).__name__
            if pause is None:
                raise SourceError(f"{path}: {reason}")
            time.sleep(pause)
        raise AssertionError("the last pause is None")


def _pieces(answer: http.client.HTTPResponse, path: str, most: int) -> Iterator[bytes]:
    """What an answer holds; an error beyond so many bytes, and when it was cut."""
    left = most
    while data := answer.read(_PIECE_BYTES):
        left -= len(data)
        if left < 0:
            raise TooLargeError(path)
        yield data
    if answer.length:
        raise http.client.IncompleteRead(b"")


def of(base: str) -> Source:
    """The source at an address or in a folder; its part `/log` may be named or not. Raises SourceError."""
    if "://" in base:
        return Web(base.rstrip("/").removesuffix("/log"))
    folder = Path(base)
    if not folder.is_dir():
        raise SourceError(f"there is no folder {base}")
    if not (folder / "log").is_dir() and (folder / "checkpoint").exists():
        folder = folder.resolve().parent
    return Folder(folder)
