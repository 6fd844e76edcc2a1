"""What people do after signing, played beside the load: whoever got the mail follows its link, a reviewer approves."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.installation import Installation
from charter import clock
from charter.domain import token as tokens
from charter.domain.errors import CharterError
from charter.models.base import db
from charter.operations import review, staff

_CONTEXT = multiprocessing.get_context("fork")


class _Beside:
    """Something that goes on in a process of its own until it is stopped."""

    def __init__(self) -> None:
        self._stop = _CONTEXT.Event()
        self._process: Any = None

    def __enter__(self) -> Any:
        self._process = _CONTEXT.Process(target=self._run)
        self._process.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Lets it finish its round."""
        self._stop.set()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            self.round()

    def round(self) -> None:
        """What is done again and again."""
        raise NotImplementedError


class Postman(_Beside):
    """Puts the link of every mail that arrived into a file for the load client: signature's id and token."""

    def __init__(self, made: Installation, mails: Path, target: Path) -> None:
        super().__init__()
        self.made = made
        self.mails = mails
        self.target = target
        self._read = 0
        self._seen: set[str] = set()

    def round(self) -> None:
        if not self.mails.exists():
            return
        with self.mails.open(encoding="utf-8") as lines:
            lines.seek(self._read)
            new = lines.read()
        end = new.rfind("\n") + 1
        self._read += len(new[:end].encode())
        uids = {line.split(" ")[1].partition("@")[0] for line in new[:end].splitlines()} - self._seen
        if not uids:
            return
        self._seen |= uids
        quoted = ", ".join(f"'{uid}'" for uid in sorted(uids))
        links = self.made.rows(
            "SELECT l.signature_id, l.uid FROM message m JOIN link l ON l.id = m.link_id"
            f" WHERE l.purpose = 'confirm' AND m.uid IN ({quoted})"
        )
        with self.target.open("a", encoding="ascii") as target:
            target.writelines(
                f"{signature_id} {tokens.token(self.made.key, 'confirm', bytes(uid))}\n" for signature_id, uid in links
            )


class Reviewer(_Beside):
    """Approves whatever is confirmed, through the operation: the desk's own door is not what is tried here."""

    def __init__(self, made: Installation, given: dict[str, Any]) -> None:
        super().__init__()
        self.made = made
        self.given = given

    def _run(self) -> None:
        app = self.made.app(**self.given)
        with app.app_context():
            now = clock.now()
            self.staff_id = staff.invite(
                "Bruno", email="bruno@example.org", language="en", digest=bytes(32), expires_at=now, now=now
            )
            super()._run()
            db.session.remove()

    def round(self) -> None:
        for signature_id, version in self.made.rows(
            "SELECT id, version FROM signature WHERE state = 'confirmed' ORDER BY id LIMIT 50"
        ):
            if self._stop.is_set():
                return
            try:
                approve(signature_id, version=version, staff_id=self.staff_id, undo_seconds=0)
            except CharterError:
                continue
            time.sleep(0.005)


def approve(signature_id: int, *, version: int, staff_id: int, undo_seconds: int) -> None:
    """One decision. Raises CharterError when somebody was faster."""
    review.decide(
        signature_id,
        action="approve",
        expected_version=version,
        reason=None,
        note=None,
        staff_id=staff_id,
        undo_seconds=undo_seconds,
        now=clock.now(),
    )
