"""Certificates and pictures: what stands on them, what is attached, and that they are the same bytes each time."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import threading
import unicodedata
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import zxingcpp
from flask import Flask
from pypdf import PdfReader
from sqlalchemy import delete, select
from time_machine import Traveller as Clock
from werkzeug.test import TestResponse

from charter import create_app, log_key, shipped
from charter.certificate import Paper, Picture, certificate, guilloche, letters, picture, typesetting
from charter.domain.edition import digest, parse_edition
from charter.domain.name import clean_name
from charter.domain.text import TextError
from charter.i18n import LANGUAGES, speaking
from charter.models.base import db, writing
from charter.models.log import LogCheckpoint, LogCosignature, LogPlace, key_place
from charter.operations.proving import Outcome
from charter.queries import certificates, receipts
from charter.tlog import leaf, note, proof
from charter.tlog.record import commitment, encode_record
from tests.conftest import make_settings
from tests.operations.test_publication import published
from tests.operations.test_signing import get, now, withdraw
from tests.pages import Browser
from tests.people import Desk, Observer, link_in, mails, text_of, work

KAZAKH_120 = (
    "Нұрғожаңғалиқызы-Сүлейменқұлова Өмірзақ-Гүлшаһарай Ғазизақынқызы"
    " Әбілқайыр-Жұмағұловтар Тәуелсіздікгүлім Ыбырайымжанқызы"
)


def made_of(language: str, name: str = "Әмина Серікқызы Оспанова", **more: Any) -> Paper:
    """A certificate's data as if published."""
    body = shipped.edition_texts("specimen-1")[language]
    given: dict[str, Any] = {
        "entry": "0f" * 16,
        "salt": bytes(32),
        "rev": 1,
        "number": 17,
        "kind": "independent",
        "display": "full",
        "name": name,
        "region": "KZ-59",
        "affiliation": None,
        "affiliation_name": None,
        "charter": "specimen-1",
        "signed_on": date(2026, 11, 20),
    } | more
    line = encode_record(**given)
    published_leaf = leaf.encode(
        "publish", t="2026-11-20T09:00:00Z", commit=commitment(line), entry=given["entry"], rev=1
    )
    text = proof.write(proof.Proof(published_leaf, 3, [bytes(32)] * 4, "charter.example/log\n5\nAAAA\n\n— x AAAA\n"))
    return Paper(
        record=line,
        proof_text=text,
        own_name=name,
        kind="Независимый наблюдатель",
        region="Солтүстік Қазақстан облысы",
        edition=parse_edition(body),
        edition_digest=digest(body),
        vkey="charter.example/log+a1b2c3d4+AbCdEfGh",
        centre="Центр",
        public_url="https://charter.example",
    )


def in_language(app: Flask, language: str, paper: Paper) -> bytes:
    with app.app_context(), speaking(language):
        return certificate(paper)


def words_of(content: bytes) -> str:
    """The text as it is read aloud or copied, with single spaces."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(content)).pages).split())


def pixels(content: bytes) -> tuple[int, int, bytes]:
    """Width, height and grey of the first page, two pixels a point."""
    document = pypdfium2.PdfDocument(content)
    assert len(document) == 1, "everything stands on one page"
    bitmap = document[0].render(scale=2, grayscale=True)
    rows = bytes(bitmap.buffer)
    found = b"".join(rows[y * bitmap.stride : y * bitmap.stride + bitmap.width] for y in range(bitmap.height))
    size = bitmap.width, bitmap.height
    document.close()
    return *size, found


@pytest.fixture(scope="module")
def speaker(sqlite_template: Path) -> Flask:
    """For words in three languages; nothing that uses it asks the database."""
    return create_app(make_settings(sqlite_template))


# ── the paper ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_says_what_the_record_and_the_signed_text_say(speaker: Flask, language: str) -> None:
    paper = made_of(language, affiliation_name="«Еркіндік қанаты» ҚБ", number=1_234_567)
    content = in_language(speaker, language, paper)
    words = words_of(content)
    told = {"kk": "20 қараша 2026 ж.", "ru": "20 ноября 2026 г.", "en": "20 November 2026"}[language]
    number = "1,234,567" if language == "en" else "1 234 567"
    for one in (
        "Әмина Серікқызы Оспанова",
        number,
        told,
        "«Еркіндік қанаты» ҚБ",
        "specimen-1",
        paper.region,
        paper.kind,
    ):
        assert one in words, one
    assert " ".join(paper.edition.statement) in words
    assert paper.edition.specimen_note is not None
    assert paper.edition.specimen_note in words
    assert paper.edition.title in words
    assert hashlib.sha256(paper.record).hexdigest() in words
    assert paper.edition_digest in words
    assert paper.vkey in words
    assert f"charter.example/{language}/verify/?number=1234567" in words
    document = PdfReader(BytesIO(content))
    addresses = [one.get_object()["/A"]["/URI"] for one in document.pages[0]["/Annots"]]
    assert set(addresses) == {f"https://charter.example/{language}/verify/?number=1234567"}
    assert letters.MISSING not in words


def test_record_and_receipt_are_attached_to_the_letter(speaker: Flask) -> None:
    paper = made_of("kk")
    document = PdfReader(BytesIO(in_language(speaker, "kk", paper)))
    assert {name: found[0] for name, found in document.attachments.items()} == {
        "record.json": paper.record,
        "receipt.tlog-proof": paper.proof_text.encode(),
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_for_archives_and_for_screen_readers(speaker: Flask, language: str) -> None:
    document = PdfReader(BytesIO(in_language(speaker, language, made_of(language))))
    described = document.trailer["/Root"]["/Metadata"].get_object().get_data().decode()
    for mark in ("<pdfaid:part>3<", "<pdfaid:conformance>A<", "<pdfuaid:part>1<"):
        assert mark in described
    assert "2026-11-20T09:00:00" in described, "made when it was published"
    root = document.trailer["/Root"]
    assert root["/Lang"] == language
    assert root["/MarkInfo"]["/Marked"]
    assert document.metadata is not None
    assert "17" in str(document.metadata.title)
    assert [round(float(side)) for side in document.pages[0].mediabox[2:]] == [595, 842], "A4"
    # Nothing that runs, and nothing that is fetched.
    assert "/OpenAction" not in root
    assert not {"/JavaScript", "/AcroForm"} & set(root.get("/Names", {}))


def test_it_is_the_same_bytes_each_time_also_in_another_process(speaker: Flask) -> None:
    papers = [made_of("kk"), made_of("kk", "Айгүл С.", number=18)]
    first = [in_language(speaker, "kk", one) for one in papers]
    assert [in_language(speaker, "kk", one) for one in reversed(papers)] == first[::-1]
    assert first[0] != first[1]
    # The words come from the catalogue there as here; what Typst makes of them must not depend on the process.
    script = (
        "import hashlib, json, sys; from datetime import datetime;"
        "import charter.certificate; from charter.certificate.typesetting import make_pdf;"
        "assert not {'typst', 'segno'} & set(sys.modules), 'loaded before anything is made';"
        "given = json.load(sys.stdin);"
        "at = datetime.fromisoformat('2026-11-20T09:00:00+00:00');"
        "print(hashlib.sha256(make_pdf('certificate.typ', given, at=at)).hexdigest())"
    )
    kept: list[Any] = []
    real = typesetting._set

    def keep(template: str, given: Any, **how: Any) -> bytes:
        kept.append(given)
        return real(template, given, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typesetting, "_set", keep)
        in_language(speaker, "kk", papers[0])
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(kept[0]),
        env={"PYTHONHASHSEED": "7", "TZ": "Asia/Kamchatka", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == hashlib.sha256(first[0]).hexdigest()


# ── names of every kind ──────────────────────────────────────────────────────────────────────────────────────────────

LONG = (
    "Щ" * 120,
    "WWWWWWWWWW " * 10 + "WWWWWWWWWW",
    "Ұ " * 59 + "Ұ",
    "Ǖ̄" * 60,
)


@pytest.mark.parametrize(
    ("language", "name"),
    [("kk", KAZAKH_120), ("ru", KAZAKH_120), ("en", KAZAKH_120), *zip(("kk", "ru", "en", "ru"), LONG, strict=True)],
)
def test_the_longest_name_with_the_longest_affiliation_stays_on_the_sheet(
    speaker: Flask, language: str, name: str
) -> None:
    assert len(KAZAKH_120) == 120
    content = in_language(speaker, language, made_of(language, name, affiliation_name="Жұмыс " * 33 + "Щи"))
    width, height, grey = pixels(content)
    # Between the paper's edge and the frame, which stands at 9 mm, there is nothing.
    margin = 48
    rows = [grey[y * width : (y + 1) * width] for y in range(height)]
    white = bytes([255])
    assert all(row == white * width for row in rows[:margin] + rows[-margin:])
    assert all(row[:margin] + row[-margin:] == white * 2 * margin for row in rows)
    # And between frame and text.
    inner = slice(64, 110)
    assert all(set(row[inner]) == {255} for row in rows[80:-80]), "the left margin is free"
    assert all(set(row[-110:-64]) == {255} for row in rows[80:-80]), "the right margin is free"
    squeezed = re.sub(r"\s", "", words_of(content))
    assert unicodedata.normalize("NFC", name).replace(" ", "") in unicodedata.normalize("NFC", squeezed)


HOSTILE = (
    '#read("/etc/passwd")',
    "#panic()",
    '#import "common.typ": *',
    "$ x^2 $ *bold* _it_ `raw` @label <label>",
    "= Heading - list + enum / term: x",
    "]#text(red)[",
    '"); #sys.inputs("',
    "\\#{while true {}}\\u{41}",
    "https://evil.example ~ --- ... // comment /* more",
)


def test_what_is_markup_to_typst_is_printed_letter_by_letter(speaker: Flask) -> None:
    """None of it passes as a name; the certificate does not rely on that."""
    for texts in (HOSTILE[:5], HOSTILE[5:]):
        name, affiliation = " ".join(texts), " ".join(texts[::-1])
        squeezed = re.sub(
            r"\s", "", words_of(in_language(speaker, "ru", made_of("ru", name, affiliation_name=affiliation)))
        )
        assert name.replace(" ", "") in squeezed
        assert affiliation.replace(" ", "") in squeezed
        assert "root:" not in squeezed


def test_every_letter_of_a_name_is_printed_or_said_to_be_missing(speaker: Flask) -> None:
    allowed = []
    for code in range(0x20, 0x3000):
        try:
            allowed.append(clean_name(f"а{chr(code)}а"))
        except TextError:
            continue
    assert len(allowed) > 1000
    missing = [one for one in allowed if letters.printable(one) != one]
    assert len(missing) == 40, "letters of abandoned Cyrillic alphabets, and no other"
    # PDF/A refuses a letter without a shape, so that it comes at all is the proof.
    assert in_language(speaker, "kk", made_of("kk", "".join(allowed))).startswith(b"%PDF")
    everything = made_of("kk", "Аԥсуа", affiliation_name="".join(sorted(letters.PRINTED - set("\xad"))) + "中国 გ 🎉")
    words = words_of(in_language(speaker, "en", everything))
    assert "А□суа" in words
    assert "□□ □ □" in words
    assert "□ stands for a letter" in words
    assert "stands for a letter" not in words_of(in_language(speaker, "en", made_of("en")))


def fonts_of(content: bytes) -> set[str]:
    fonts = PdfReader(BytesIO(content)).pages[0]["/Resources"]["/Font"].values()
    return {str(one.get_object()["/BaseFont"]).partition("+")[2].partition("-")[0] for one in fonts}


def test_it_is_made_without_our_fonts_too(speaker: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = in_language(speaker, "kk", made_of("kk"))
    monkeypatch.setattr(typesetting, "FONTS", tmp_path / "nothing")
    monkeypatch.setattr(typesetting, "_press", typesetting._Press())
    theirs = in_language(speaker, "kk", made_of("kk", KAZAKH_120))
    assert re.sub(r"\s", "", KAZAKH_120) in re.sub(r"\s", "", words_of(theirs))
    assert fonts_of(ours) == {"CharterSerif", "CharterDisplay", "CharterSans"}
    assert not fonts_of(ours) & fonts_of(theirs)


def test_whoever_is_not_listed_by_name_gets_a_paper_for_themselves(speaker: Flask) -> None:
    paper = made_of("en", display="unlisted", affiliation_name="Planet Express")
    assert "name" not in json.loads(paper.record)
    words = words_of(in_language(speaker, "en", paper))
    assert "Әмина Серікқызы Оспанова" in words
    assert "For its holder only" in words
    assert "Affiliation" not in words
    assert "Planet Express" not in words
    long = replace(paper, own_name=KAZAKH_120)
    assert pixels(in_language(speaker, "en", long))
    assert "For its holder only" not in words_of(in_language(speaker, "en", made_of("en")))


def test_on_ones_own_is_said_as_well(speaker: Flask) -> None:
    assert "on their own" in words_of(in_language(speaker, "en", made_of("en")))


# ── the ornament and the code ────────────────────────────────────────────────────────────────────────────────────────


def test_every_byte_of_a_digest_changes_the_ornament_and_its_lines_close() -> None:
    digest_ = hashlib.sha256(b"an entry").digest()
    drawn = guilloche.rosette(digest_)
    assert guilloche.rosette(digest_) == drawn
    for at in range(32):
        other = bytearray(digest_)
        other[at] ^= 0x80
        changed = guilloche.rosette(bytes(other))
        assert (changed.seal, changed.ground) != (drawn.seal, drawn.ground), at
    lines = re.findall(r"M(-?\d+) (-?\d+)c([^z]+)z", drawn.seal + drawn.ground)
    assert len(lines) == 5
    for _x, _y, curves in lines:
        numbers = [int(one) for one in curves.split()]
        assert len(numbers) % 6 == 0
        assert (sum(numbers[4::6]), sum(numbers[5::6])) == (0, 0), "it ends where it began"
    with pytest.raises(ValueError, match="32 bytes"):
        guilloche.rosette(b"short")


def test_the_code_is_drawn_as_it_was_computed() -> None:
    import segno

    from charter.certificate.paper import qr_svg

    address = "https://charter.example/kk/verify/?number=123456789"
    code = segno.make(address, error="m", micro=False, boost_error=False, mask=2)
    side = len(code.matrix)
    drawn = [bytearray(side) for _ in range(side)]
    for x, y, run in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", qr_svg(address)):
        for at in range(int(x), int(x) + int(run)):
            drawn[int(y)][at] = 1
    assert drawn == [bytearray(row) for row in code.matrix]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_code_leads_a_telephone_to_the_page_that_checks(speaker: Flask, language: str) -> None:
    width, height, grey = pixels(in_language(speaker, language, made_of(language)))
    found = zxingcpp.read_barcodes(memoryview(grey).cast("B", (height, width)))
    assert [one.text for one in found] == [f"https://charter.example/{language}/verify/?number=17"]


# ── the picture ──────────────────────────────────────────────────────────────────────────────────────────────────────


def shared(app: Flask, paper: Paper, name: str, language: str = "kk") -> bytes:
    chosen = Picture(paper.record, name, paper.edition.title, paper.edition_digest, "charter.example/kk/")
    with app.app_context(), speaking(language):
        return picture(chosen)


def test_a_picture_leads_to_the_entry_only_with_the_name_of_the_registry(speaker: Flask) -> None:
    one, other = made_of("kk"), made_of("kk", number=18)
    assert shared(speaker, one, "Әмина Серікқызы Оспанова") != shared(speaker, other, "Әмина Серікқызы Оспанова")
    # Without a name, or with another one, everybody's is the same: nothing in it tells whose entry it is.
    assert shared(speaker, one, "") == shared(speaker, other, "")
    assert shared(speaker, one, "Әмина О.") == shared(speaker, other, "Әмина О.")
    hidden, too = made_of("kk", display="unlisted"), made_of("kk", display="unlisted", number=18)
    assert shared(speaker, hidden, "Әмина Серікқызы Оспанова") == shared(speaker, too, "Әмина Серікқызы Оспанова")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_picture_has_the_size_that_others_show(speaker: Flask, language: str) -> None:
    for name in ("", "Әмина Серікқызы Оспанова", KAZAKH_120, "Щ" * 120):
        content = shared(speaker, made_of(language), name, language)
        assert content.startswith(b"\x89PNG")
        assert [int.from_bytes(content[at : at + 4], "big") for at in (16, 20)] == [1200, 630]
        assert len(content) < 400_000


# ── who gets one ─────────────────────────────────────────────────────────────────────────────────────────────────────


def opened(app: Flask, signature_id: int) -> Browser:
    """A browser that has come by the personal link."""
    browser = Browser(app)
    address = get(app, signature_id).email
    mail = next(one for one in reversed(mails(app)) if one["To"] == address and "/my/" in text_of(one))
    assert browser.get(link_in(mail, "/my/")).status == 200
    return browser


def fetched(browser: Browser, address: str) -> TestResponse:
    """Without following redirects."""
    return browser.client.get(address)


def test_the_holder_gets_certificate_and_picture_and_nobody_else(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    browser = opened(app, signature_id)
    page = browser.get("/en/my/")
    assert [page.href(f"/{language}/my/certificate/") for language in LANGUAGES]
    for language in LANGUAGES:
        answer = fetched(browser, f"/{language}/my/certificate/")
        assert (answer.status_code, answer.mimetype) == (200, "application/pdf")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex"
        assert "Әмина" not in answer.headers["Content-Disposition"]
        assert "Әмина Оспанова" in words_of(answer.data)
        key = log_key.signer(app.config["CHARTER"]).vkey
        attached = {name: found[0] for name, found in PdfReader(BytesIO(answer.data)).attachments.items()}
        found = proof.read(attached["receipt.tlog-proof"].decode())
        proof.verify(found, note.parse_key(key), log_key.verify)
        kind, values = leaf.decode(found.extra)
        assert (kind, values["commit"]) == ("publish", hashlib.sha256(attached["record.json"]).hexdigest())
        assert key in words_of(answer.data)
    for name in ("full", "short", "none"):
        answer = fetched(browser, page.href(f"name={name}"))
        assert (answer.status_code, answer.mimetype) == (200, "image/png")
    assert fetched(browser, "/en/my/picture/?name=everything").status_code == 303
    assert fetched(browser, "/en/my/picture/").status_code == 303
    for path in ("/en/my/certificate/", "/en/my/picture/?name=full"):
        assert fetched(Browser(app), path).status_code == 403


def test_it_stays_the_same_while_the_log_grows(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    browser = opened(app, signature_id)
    first = fetched(browser, "/kk/my/certificate/").data
    with app.app_context():
        entry, present = get(app, signature_id).entry, receipts.receipt_of(get(app, signature_id).entry)
    for place in range(1, 4):
        published(app, desk, clock, place)
    clock.shift(3600)
    with app.app_context():
        grown = receipts.receipt_of(entry)
    assert grown is not None and present is not None
    assert grown.proof_text != present.proof_text, "the receipt of the page is a newer one"
    assert fetched(browser, "/kk/my/certificate/").data == first


def test_it_is_proved_under_the_first_checkpoint_that_a_witness_saw_and_by_the_present_key(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    entry = get(app, signature_id).entry
    key = log_key.signer(app.config["CHARTER"]).vkey

    def size(vkey: str = key) -> int:
        with app.app_context():
            found = certificates.lasting_receipt_of(entry, vkey=vkey)
            assert found is not None
            proof.verify(proof.read(found.proof_text), note.parse_key(key), log_key.verify)
            return found.size

    first = size()
    published(app, desk, clock, 1)
    with app.app_context():
        second = db.session.scalars(select(LogCheckpoint.size).order_by(LogCheckpoint.size.desc())).first()
    assert second is not None and second > first
    published(app, desk, clock, 2)
    assert size() == first
    with app.app_context(), writing():
        line = f"— witness.example {base64.b64encode(bytes(76)).decode()}\n"
        db.session.add(LogCosignature(size=second, witness="witness.example", at=now(), line=line))
        db.session.commit()
    assert size() == second
    with app.app_context(), writing():
        db.session.execute(delete(LogCosignature))
        db.session.add(LogPlace(entry=key_place("a newer key"), confirm_index=second - 1))
        db.session.commit()
    assert size() == first
    assert size("a newer key") == second


def test_there_is_none_before_the_publication_and_none_after_leaving(app: Flask, desk: Desk, clock: Clock) -> None:
    observer = Observer(app)
    observer.sign_and_confirm()
    work(app)
    assert "Сертификат" not in observer.browser.get("/ru/my/").main
    for path in ("/ru/my/certificate/", "/ru/my/picture/?name=none"):
        answer = fetched(observer.browser, path)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/ru/my/")
    signature_id = published(app, desk, clock)
    browser = opened(app, signature_id)
    assert fetched(browser, "/ru/my/certificate/").status_code == 200
    assert withdraw(app, signature_id) is Outcome.DONE
    assert "Сертификат" not in browser.get("/ru/my/").main
    assert fetched(browser, "/ru/my/certificate/").status_code == 303
    assert fetched(browser, "/ru/my/picture/?name=full").status_code == 303


def test_whoever_is_unlisted_is_told_that_it_is_for_them_alone(app: Flask, desk: Desk, clock: Clock) -> None:
    browser = opened(app, published(app, desk, clock, display="unlisted"))
    assert "the certificate is for you alone" in browser.get("/en/my/").main
    content = fetched(browser, "/en/my/certificate/").data
    assert "For its holder only" in words_of(content)
    record = PdfReader(BytesIO(content)).attachments["record.json"][0]
    assert "Оспанова" not in record.decode()


def test_whoever_comes_while_many_are_made_is_asked_to_come_back(
    app: Flask, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = opened(app, published(app, desk, clock))
    monkeypatch.setattr(typesetting, "PATIENCE_SECONDS", 0.0)
    with typesetting._press.lock:
        for path in ("/en/my/certificate/", "/en/my/picture/?name=full"):
            answer = fetched(browser, path)
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
            assert "one after another" in answer.get_data(as_text=True)
    assert fetched(browser, "/en/my/certificate/").status_code == 200


def test_several_threads_get_what_is_theirs(speaker: Flask) -> None:
    papers = [made_of("kk", f"Айгүл {letter}.", number=place) for place, letter in enumerate("АБВГ", start=1)]
    expected = [in_language(speaker, "kk", one) for one in papers]
    made: dict[int, bytes] = {}
    threads = [
        threading.Thread(target=lambda at=at: made.update({at: in_language(speaker, "kk", papers[at])}))
        for at in range(len(papers))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [made[at] for at in range(len(papers))] == expected
