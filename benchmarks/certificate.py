"""Certificates and pictures to share: how many a second on one core, how long the first one takes, what they weigh."""

from __future__ import annotations

import hashlib
import resource
import time
from collections.abc import Callable
from datetime import date
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench, Line, in_child, milliseconds, number
from benchmarks.installation import ENGINES, Installation
from charter import shipped
from charter.certificate import Paper, Picture, certificate, picture
from charter.domain.edition import digest, parse_edition
from charter.i18n import LANGUAGES, speaking
from charter.tlog import leaf, proof
from charter.tlog.record import commitment, encode_record

TITLE = "Certificates"
TEXT = """\
One process makes certificates one after another, each for another entry with another name, in turns in the three
languages: words, ornament, QR code, typesetting, and the PDF with record and receipt attached. Counted are the seconds
of a processor (all threads of the process together), so that others who use the machine do not count; the time on the
clock stands beside it. Looking up the entry and its receipt is not part of it: that is measured with the log. The first
one loads Typst and the fonts, which a process does once and only if somebody asks for a certificate. Pictures are those
to share, 1200 × 630 pixels. Growth is what the process weighs more after all of them than after the first ones."""

AT_LEAST = 100
AT_MOST_GROWTH_BYTES = 64 * 10**6
_NAMES = ("Әмина Серікқызы Оспанова", "Жұмағұлов Нұрғожа Ғазизұлы", "Jean-Sébastien Łukaszewicz", "Айгүл С.")


def measure(bench: Bench) -> dict[str, Any]:
    """Without a database: an application for its words, on SQLite."""
    count = bench.pick(60, 1_500, 6_000)
    with bench.installation("sqlite") as made:
        figures: dict[str, Any] = in_child(partial(_measure, made, count))
    bench.say(f"{figures}")
    return figures


def _measure(made: Installation, count: int) -> dict[str, Any]:
    app = made.app()
    with app.app_context():
        began = time.perf_counter()
        with speaking("kk"):
            certificate(paper("kk", 1))
        first_ms = (time.perf_counter() - began) * 1000
        for at in range(30):
            _make(certificate, at)
        before = _weight_bytes()
        certificates = _timed(lambda at: _make(certificate, at), count)
        pictures = _timed(lambda at: _make(_picture, at), max(10, count // 20))
        grown = _weight_bytes() - before
    return {
        "count": count,
        "first_ms": round(first_ms, 1),
        "certificates": certificates,
        "pictures": pictures,
        "growth_bytes": grown,
    }


def _timed(make: Callable[[int], bytes], count: int) -> dict[str, float]:
    processor, clock, weight = time.process_time(), time.perf_counter(), 0
    for at in range(count):
        weight += len(make(at + 1_000))
    return {
        "processor_ms": round((time.process_time() - processor) * 1000 / count, 2),
        "clock_ms": round((time.perf_counter() - clock) * 1000 / count, 2),
        "bytes": weight // count,
    }


def _weight_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def _make(what: Callable[[Paper], bytes], at: int) -> bytes:
    language = LANGUAGES[at % len(LANGUAGES)]
    with speaking(language):
        return what(paper(language, at))


def _picture(of: Paper) -> bytes:
    return picture(Picture(of.record, of.own_name, of.edition.title, of.edition_digest, "charter.example/kk/"))


# As the page does: an edition never changes.
_edition = lru_cache(maxsize=len(LANGUAGES))(parse_edition)


def paper(language: str, number_: int) -> Paper:
    """The data of one certificate, as a log of a million leaves would give it."""
    body = shipped.edition_texts("specimen-1")[language]
    entry = hashlib.sha256(b"entry %d" % number_).hexdigest()[:32]
    # No two alike: what Typst has set before it does not set again.
    name = _NAMES[number_ % len(_NAMES)] + " " + "".join("абвгдежзик"[int(figure)] for figure in str(number_)).title()
    line = encode_record(
        entry=entry,
        salt=hashlib.sha256(b"salt %d" % number_).digest(),
        rev=1,
        number=number_ + 1,
        kind="independent",
        display="full",
        name=name,
        region="KZ-59",
        affiliation=None,
        affiliation_name="«Еркіндік қанаты» қоғамдық бірлестігі" if number_ % 2 else None,
        charter="specimen-1",
        signed_on=date(2026, 11, 1 + number_ % 28),
    )
    published = leaf.encode("publish", t="2026-11-29T09:00:00Z", commit=commitment(line), entry=entry, rev=1)
    path = [hashlib.sha256(b"%d %d" % (number_, level)).digest() for level in range(20)]
    checkpoint = f"charter.example/log\n1000000\n{'A' * 43}=\n\n— charter.example/log {'A' * 91}=\n"
    return Paper(
        record=line,
        proof_text=proof.write(proof.Proof(published, number_, path, checkpoint)),
        own_name=name,
        kind="Тәуелсіз байқаушы",
        region="Солтүстік Қазақстан облысы",
        edition=_edition(body),
        edition_digest=digest(body),
        vkey=f"charter.example/log+01234567+{'A' * 44}",
        centre="Партиялық емес сайлауды байқау орталығы",
        public_url="https://charter.example",
    )


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report: it is the same whatever the database."""

    def row(what: str, value: str, target: str = "", is_met: bool | None = None) -> Line:
        return Line(what, dict.fromkeys(ENGINES, value), target, is_met)

    made, pictures = figures["certificates"], figures["pictures"]
    per_second = 1000 / made["processor_ms"]
    growth = figures["growth_bytes"]
    return [
        row(
            "certificates a second of one processor",
            number(per_second),
            f"at least {AT_LEAST}",
            per_second >= AT_LEAST,
        ),
        row("a certificate, on the clock", milliseconds(made["clock_ms"])),
        row("the first one of a process, on the clock", milliseconds(figures["first_ms"])),
        row("size of a certificate", f"{number(made['bytes'] / 1000)} kB"),
        row("pictures a second of one processor", number(1000 / pictures["processor_ms"])),
        row("a picture, on the clock", milliseconds(pictures["clock_ms"])),
        row("size of a picture", f"{number(pictures['bytes'] / 1000)} kB"),
        row(
            f"growth of the process by {figures['count']:,} certificates",
            f"{growth / 1e6:.0f} MB",
            f"at most {AT_MOST_GROWTH_BYTES // 10**6} MB",
            growth <= AT_MOST_GROWTH_BYTES,
        ),
    ]
