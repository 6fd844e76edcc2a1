"""Turns addresses into files, in this process or in several: asked, compared with what was there, put in place."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from charter.i18n import DEFAULT, LANGUAGES
from charter.mirror.asking import Answer, Asker
from charter.mirror.errors import MirrorError
from charter.mirror.folder import Folder
from charter.mirror.links import Links
from charter.mirror.moments import Moments
from charter.mirror.pages import Words
from charter.orphans import end_with_parent
from charter.queries import schema, takeaway

NO_DATABASE = "The database did not answer; what is there stays as it was."
WRITTEN, UNCHANGED, LACKING = "written", "unchanged", "lacking"
_DIGEST_BYTES = 16
_LACKING_STATUSES = frozenset({404, 503})


@dataclass(frozen=True)
class Task:
    """One file to look at. address: path and query at the service. digest: of what is there, None for nothing.

    tells: the moment counts as content. may_lack: the service may have nothing there.
    """

    address: str
    place: str
    kind: str
    digest: bytes | None = None
    tells: bool = False
    may_lack: bool = False


@dataclass(frozen=True)
class Done:
    """What became of a task. outcome: NO_DATABASE = "The database did not answer; what is there stays as it was."
    WRITTEN, UNCHANGED or LACKING; digest: of what is there now."""

    place: str
    kind: str
    outcome: str
    digest: bytes = b""


class Renderer:
    """Makes files one after the other. least_revision: an answer that stands at an earlier batch is refused."""

    def __init__(self, app: Flask, folder: Folder, *, service: str, files: Mapping[str, str], least: int) -> None:
        self._app = app
        self._folder = folder
        self._least = least
        self._asker = Asker(app, service=service)
        self._moments = Moments(app)
        self._words = Words(app, Links(app, service=service), service=service, files=files)

    def make(self, tasks: Sequence[Task]) -> list[Done]:
        """Each task in turn. Raises MirrorError for an answer that cannot become a file."""
        return [self._one(task) for task in tasks]

    def _one(self, task: Task) -> Done:
        with self._asker.get(task.address) as answer:
            if task.may_lack and answer.status in _LACKING_STATUSES:
                return Done(task.place, task.kind, LACKING)
            if answer.status != 200:
                raise MirrorError(f"A page could not be made: {answer.endpoint} answered {answer.status}.")
            if answer.is_from_memory or (answer.as_of is not None and answer.as_of.revision < self._least):
                raise MirrorError(NO_DATABASE)
            return self._page(task, answer) if answer.is_page else self._file(task, answer)

    def _page(self, task: Task, answer: Answer) -> Done:
        path = task.address.partition("?")[0]
        language = path.split("/")[1]
        language = language if language in LANGUAGES else DEFAULT
        page = self._words.mirrored(b"".join(answer.body).decode(), language=language)
        keep_out = "noindex" in answer.headers.get("x-robots-tag", "")
        finished = self._words.finish(page, language=language, path=path, as_of=answer.as_of, keep_out=keep_out)
        content = finished.encode()
        # What tells of the newest batch changes with it; of all else only what is not the moment is compared.
        digest = _digest(content if task.tells else self._moments.without(page.encode(), answer.as_of))
        if self._stands(task, digest):
            return Done(task.place, task.kind, UNCHANGED, digest)
        self._folder.write(task.place, [content])
        return Done(task.place, task.kind, WRITTEN, digest)

    def _file(self, task: Task, answer: Answer) -> Done:
        """However large: it goes through in pieces, beside the one that is there."""
        if task.may_lack and self._shows_who_left(answer):
            return Done(task.place, task.kind, LACKING)
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        with self._folder.new() as new:
            with open(new, "wb") as file:
                if answer.is_packed:
                    # The same workbook is never packed into the same bytes twice.
                    digest.update(answer.headers.get("etag", "").encode())
                for piece in answer.body:
                    if not answer.is_packed:
                        digest.update(piece if task.tells else self._moments.without(piece, answer.as_of))
                    file.write(piece)
            if self._stands(task, digest.digest()):
                return Done(task.place, task.kind, UNCHANGED, digest.digest())
            self._folder.put(new, task.place)
        return Done(task.place, task.kind, WRITTEN, digest.digest())

    def _shows_who_left(self, answer: Answer) -> bool:
        """Whether this file, which is made now and then, is older than an ending: a worker is about to remove it."""
        stands_at = re.match(r'(?:W/)?"(\d+)-', answer.headers.get("etag", ""))
        if stands_at is None or int(stands_at[1]) >= self._least:
            return False
        with self._app.app_context():
            try:
                return takeaway.has_left_since(int(stands_at[1]))
            finally:
                schema.let_go()

    def own_page(self, name: str) -> bytes:
        """The mirror's own pages: `root` and `missing`."""
        return (self._words.root() if name == "root" else self._words.missing()).encode()

    def _stands(self, task: Task, digest: bytes) -> bool:
        return task.digest == digest and self._folder.has(task.place)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()


# ── several processes ────────────────────────────────────────────────────────────────────────────────────────────────


class Crew:
    """Makes chunks of tasks, `workers` at a time; none is taken before somebody is free for it."""

    def __init__(self, app: Flask, renderer: Renderer, *, workers: int) -> None:
        self._renderer = renderer
        self._hands: list[tuple[multiprocessing.process.BaseProcess, Connection]] = []
        if workers > 1:
            with app.app_context():
                # A connection must not be spoken to by two processes.
                for engine in app.extensions["sqlalchemy"].engines.values():
                    engine.dispose()
            context: Any = multiprocessing.get_context("fork")
            for _ in range(workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(renderer, theirs, os.getpid()), daemon=True)
                process.start()
                theirs.close()
                self._hands.append((process, ours))

    @contextmanager
    def at_work(self) -> Iterator[Crew]:
        """Inside, chunks are made; at the end nobody is left behind."""
        try:
            yield self
        finally:
            for process, pipe in self._hands:
                pipe.close()
                process.join(timeout=5)
                if process.is_alive():
                    process.kill()
                    process.join()

    def make(self, chunks: Iterable[Sequence[Task]]) -> Iterator[list[Done]]:
        """What became of each chunk, in the order in which they were finished. Raises MirrorError."""
        if not self._hands:
            yield from map(self._renderer.make, chunks)
            return
        free = [pipe for _, pipe in self._hands]
        busy: list[Connection] = []
        waiting = iter(chunks)
        is_over = False
        while busy or not is_over:
            while free and not is_over:
                chunk = next(waiting, None)
                if chunk is None:
                    is_over = True
                else:
                    pipe = free.pop()
                    _send(pipe, chunk)
                    busy.append(pipe)
            for ready in wait(busy) if busy else []:
                assert isinstance(ready, Connection)
                yield _received(ready)
                busy.remove(ready)
                free.append(ready)


def _work(renderer: Renderer, pipe: Connection, parent: int) -> None:
    end_with_parent()
    if os.getppid() != parent:
        return
    while True:
        try:
            tasks = pipe.recv()
        except EOFError:
            return
        try:
            answer: Any = renderer.make(tasks)
        except MirrorError as error:
            answer = str(error)
        except SQLAlchemyError:
            answer = NO_DATABASE
        except OSError as error:
            answer = f"A file cannot be written: {error.strerror}."
        pipe.send(answer)


def _send(pipe: Connection, chunk: Sequence[Task]) -> None:
    try:
        pipe.send(list(chunk))
    except OSError:
        raise MirrorError("A process of this run was ended; run it again.") from None


def _received(pipe: Connection) -> list[Done]:
    try:
        answer: list[Done] | str = pipe.recv()
    except (EOFError, OSError):
        raise MirrorError("A process of this run was ended; run it again.") from None
    if isinstance(answer, str):
        raise MirrorError(answer)
    return answer
