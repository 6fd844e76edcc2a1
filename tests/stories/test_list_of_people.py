"""A list of people becomes applications: read, tried, entered, written to, and confirmed by each person alone."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from time_machine import Traveller as Clock
from xlsxwriter import Workbook

from charter.models.base import db
from charter.models.decision import Audit
from charter.models.importing import ImportJob, ImportRow
from charter.models.outbox import Message
from charter.models.signature import Signature, SignatureConsent
from tests.pages import Browser, Page
from tests.people import Desk, Observer, code_in, link_in, mails, text_of, work

#: What depends on words and files, not on the database.
ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
HEADER = ["ФИО", "Эл. почта", "Область", "Вид", "Организация"]
GOOD = ["Қайрат Жұмабаев", "kairat@example.org", "г. Алматы", "независимый", "Ерлан достары"]
OTHER = ["Сауле Ибраева", "saule@example.org", "Алматинская область", "партийный", "Amanat"]


def as_csv(*rows: list[str], header: list[str] = HEADER, encoding: str = "utf-8-sig", separator: str = ";") -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows([header, *rows])
    return out.getvalue().encode(encoding)


def as_xlsx(*rows: list[Any], header: list[str] = HEADER, sheets: tuple[str, ...] = ("Лист1",)) -> bytes:
    out = io.BytesIO()
    book = Workbook(out, {"in_memory": True})
    for name in sheets:
        sheet = book.add_worksheet(name)
        for place, row in enumerate([header, *rows]):
            sheet.write_row(place, 0, row)
    book.close()
    return out.getvalue()


def bring(desk: Desk, data: bytes, *, source: str = "Training in Taraz, 12 November", **answers: Any) -> Page:
    """Sends a file, as the form for it does."""
    url, values = desk.browser.get("/staff/imports/").fields("list-form")
    return desk.browser.post(url, values | {"source": source, **answers, "file": (io.BytesIO(data), "people.csv")})


def tried(app: Flask, desk: Desk, data: bytes, **answers: Any) -> Page:
    """A list whose columns are as they were guessed, after the worker has looked at it."""
    page = bring(desk, data).submit("columns-form", **answers)
    assert "/staff/imports/" in page.url, page.main
    work(app)
    return desk.browser.get(page.url)


def entered(app: Flask, desk: Desk, data: bytes, **answers: Any) -> Page:
    page = tried(app, desk, data, **answers).submit("start-form")
    # In one round mail comes before what fills its box.
    work(app)
    work(app)
    return desk.browser.get(page.url)


def signatures(app: Flask) -> list[Signature]:
    with app.app_context():
        return list(db.session.scalars(select(Signature).order_by(Signature.id)))


def scalar(app: Flask, query: Any) -> Any:
    with app.app_context():
        return db.session.scalar(query)


def test_everybody_on_a_list_is_written_to_and_signs_only_by_confirming(app: Flask, desk: Desk, clock: Clock) -> None:
    page = bring(desk, as_csv(GOOD, OTHER, encoding="kz1048"))
    assert "2 rows were read" in page.main
    assert "Қайрат Жұмабаев" in page.main
    page = tried(app, desk, as_csv(GOOD, OTHER))
    assert "Good rows" in page.main
    assert signatures(app) == []
    page = page.submit("start-form")
    work(app)
    work(app)
    page = desk.browser.get(page.url)
    assert "Imported" in page.main
    rows = signatures(app)
    assert [(row.full_name, row.state, row.region_code, row.kind) for row in rows] == [
        ("Қайрат Жұмабаев", "submitted", "KZ-75", "independent"),
        ("Сауле Ибраева", "submitted", "KZ-19", "party"),
    ]
    assert scalar(app, select(func.count()).select_from(SignatureConsent)) == 0
    mail = next(one for one in mails(app) if one["To"] == "saule@example.org")
    assert "Training in Taraz, 12 November" in text_of(mail)

    browser = Browser(app)
    form = browser.get(link_in(mail, "/confirm/"))
    assert "/ru/entered/" in form.url
    assert "Training in Taraz" in form.main
    # Without consents, or without the code, nothing happens.
    assert form.submit("entered-form", code=code_in(mail)).status == 422
    ticks = {"is_adult": "y", "consent_processing": "y", "consent_publication": "y"}
    assert form.submit("entered-form", **ticks).status == 422
    assert form.submit("entered-form", **ticks, code="000000").status == 422
    assert {row.state for row in signatures(app)} == {"submitted"}
    done = form.submit("entered-form", **ticks, code=code_in(mail), full_name="Сәуле Ибраева", region="KZ-71")
    assert "/ru/my/" in done.url, done.main
    assert "Training in Taraz" in done.main
    second = signatures(app)[1]
    assert (second.state, second.full_name, second.region_code) == ("confirmed", "Сәуле Ибраева", "KZ-71")
    assert second.affiliation_id is not None
    assert scalar(app, select(func.count()).select_from(SignatureConsent)) == 2
    assert "Сәуле Ибраева" in desk.queue().main
    dossier = desk.open_first()
    assert "Training in Taraz" in dossier.main
    work(app)
    with app.app_context():
        done = select(ImportRow.identity, ImportRow.cells).join(ImportJob).where(ImportJob.state == "done")
        assert [tuple(row) for row in db.session.execute(done)] == [(None, None)] * 3


def test_the_button_of_an_ordinary_confirmation_is_not_enough(app: Flask, desk: Desk, clock: Clock) -> None:
    entered(app, desk, as_csv(GOOD))
    mail = mails(app)[-1]
    path = link_in(mail, "/confirm/")
    browser = Browser(app)
    token = browser.get("/ru/sign/").fields("sign-form")[1]["csrf_token"]
    page = browser.post(path, {"csrf_token": token, "code": code_in(mail)})
    assert "/entered/" in page.url
    assert signatures(app)[0].state == "submitted"


@ONE_ENGINE
def test_what_is_wrong_with_a_row_is_said_in_words_and_comes_back_as_a_file(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    bad = ["Иван 5", "not an address", "Нигде", "кто-то", "=cmd()"]
    page = tried(app, desk, as_csv(GOOD, bad, GOOD))
    for words in ("Write the name without figures", "not valid", "no region", "The same person as in row 2"):
        assert words in page.main
    answer = desk.browser.client.get(page.href("/errors.csv"))
    assert answer.mimetype == "text/csv"
    assert answer.data.startswith(b"\xef\xbb\xbf")
    lines = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert lines[0][2:] == HEADER
    assert [line[0] for line in lines[1:]] == ["3", "4"]
    assert lines[1][2:] == [*bad[:4], "'=cmd()"]
    answer.close()


def test_whoever_stands_or_waits_or_wants_no_mail_is_passed_over(app: Flask, desk: Desk, clock: Clock) -> None:
    amina = Observer(app, full_name=GOOD[0], email=GOOD[1])
    amina.sign_and_confirm()
    saule = Observer(app, full_name=OTHER[0], email=OTHER[1])
    saule.sign()
    work(app)
    stopped = Observer(app, full_name="Тимур Н", email="timur@example.org")
    stopped.sign()
    work(app)
    stopped.browser.get(link_in(stopped.mail(), "/not-me/")).submit("not-me-form")
    third = ["Тимур Н", "timur@example.org", "KZ-75", "independent", ""]
    page = tried(app, desk, as_csv(GOOD, OTHER, third))
    assert "has signed already" in page.main
    assert "has not confirmed yet" in page.main
    assert "asked us not to write" in page.main
    assert not page.tree.query("#start-form")


def test_a_list_holds_one_person_once_whatever_else_was_started(app: Flask, desk: Desk, clock: Clock) -> None:
    first = tried(app, desk, as_csv(GOOD))
    second = tried(app, desk, as_xlsx(GOOD))
    first.submit("start-form")
    second.submit("start-form")
    work(app)
    assert len(signatures(app)) == 1
    assert scalar(app, select(func.sum(ImportJob.done))) == 1
    page = desk.browser.get(second.url)
    assert "was written to already" in page.main


def test_the_same_file_again_has_to_be_wanted(app: Flask, desk: Desk, clock: Clock) -> None:
    entered(app, desk, as_csv(GOOD))
    page = bring(desk, as_csv(GOOD))
    assert "This very file was imported on" in page.main
    refused = page.submit("columns-form")
    assert refused.status == 422
    page = refused.submit("columns-form", again="y")
    work(app)
    assert "was written to already" in desk.browser.get(page.url).main


@ONE_ENGINE
def test_columns_are_remembered_for_a_layout_and_missing_ones_said_for_all(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    header = ["Кто", "Куда писать", "X"]
    rows = as_csv(["Қайрат Жұмабаев", "kairat@example.org", "1"], header=header, separator="\t", encoding="utf-16")
    page = bring(desk, rows)
    refused = page.submit("columns-form", **{"column-0": "full_name"})
    assert refused.status == 422
    assert "Choose the column of the email" in refused.main
    chosen = {"column-0": "full_name", "column-1": "email", "region": "KZ-71", "kind": "independent"}
    refused.submit("columns-form", **chosen)
    work(app)
    other = bring(desk, as_csv(["Сауле", "s@example.org", "2"], header=header))
    assert "as for the last list" in other.main
    assert other.fields("columns-form")[1]["column-1"] == "email"


def test_whose_regions_are_limited_imports_into_these_and_sees_no_other_list(app: Flask, clock: Clock) -> None:
    limited = Desk(app, "Ерке", "yerke@example.org", role="reviewer", regions=["KZ-75"])
    admin = Desk(app, "Bruno", "bruno@example.org")
    page = tried(app, limited, as_csv(GOOD, OTHER))
    assert "into your own regions only" in page.main
    others = tried(app, admin, as_csv(OTHER))
    assert limited.browser.client.get(others.url).status_code == 404
    assert "Training" in admin.browser.get(page.url).main
    limited.browser.get(page.url).submit("start-form")
    work(app)
    assert [row.region_code for row in signatures(app)] == ["KZ-75"]


def test_an_import_that_is_called_off_leaves_nothing_of_the_list(app: Flask, desk: Desk, clock: Clock) -> None:
    page = tried(app, desk, as_csv(GOOD, OTHER))
    page = page.submit(at="/cancel")
    assert "called off" in page.main
    work(app)
    assert signatures(app) == []
    with app.app_context():
        assert all(one is None for one in db.session.scalars(select(ImportRow.cells)))
    answer = desk.browser.client.get(f"{page.url}errors.csv")
    assert "Қайрат".encode() not in answer.data
    answer.close()


@ONE_ENGINE
def test_a_list_that_nobody_goes_on_with_is_forgotten_after_a_week(app: Flask, desk: Desk, clock: Clock) -> None:
    tried(app, desk, as_csv(GOOD))
    clock.shift(8 * 86_400)
    work(app)
    with app.app_context():
        job = db.session.scalars(select(ImportJob)).one()
        assert (job.state, job.error) == ("failed", "lapsed")
        assert all(one is None for one in db.session.scalars(select(ImportRow.cells)))


@ONE_ENGINE
def test_who_does_not_confirm_is_reminded_of_the_list_and_then_erased(app: Flask, desk: Desk, clock: Clock) -> None:
    entered(app, desk, as_csv(GOOD))
    clock.shift(3 * 86_400)
    work(app)
    clock.shift(3700)
    work(app)
    work(app)
    told = [text_of(mail) for mail in mails(app) if mail["To"] == GOOD[1]]
    assert len(told) == 2
    assert all("Training in Taraz" in words for words in told)
    clock.shift(40 * 86_400)
    work(app)
    clock.shift(3700)
    work(app)
    assert signatures(app)[0].full_name == ""
    assert scalar(app, select(func.count()).where(ImportRow.signature_id.is_not(None))) == 0


def test_the_audit_tells_of_a_list_from_its_beginning_to_its_end(app: Flask, desk: Desk, clock: Clock) -> None:
    entered(app, desk, as_csv(GOOD))
    with app.app_context():
        lines = db.session.scalars(select(Audit).where(Audit.subject == "import").order_by(Audit.id)).all()
    told = [line.action for line in lines if not line.action.startswith("read-")]
    assert told == ["import-begin", "import-map", "import-start", "import-done"]
    assert lines[-1].detail["done"] == 1 or any(line.detail.get("done") == 1 for line in lines)
    assert "Қайрат" not in str([(line.detail, line.before, line.after) for line in lines])
    assert scalar(app, select(func.count()).select_from(Message)) == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "nothing in this file"),
        ("ФИО;Почта\n".encode(), "nothing in this file"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 600, "old or a protected workbook"),
        (b"PK\x03\x04" + b"x" * 600, "damaged"),
        (b"a;b\n\0;c\n", "no text"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x01", "no text"),
        (b"name\nAmina\n", "Only one column"),
        (b"a;" * 2000 + b"\n" + b"b;" * 2000 + b"\n", "columns"),
        (b'a;b\n1;2\n"' + b"x" * 10_000_000, "quotation mark"),
        (b"a;b\n1;" + b"x" * 10_000_000 + b"\n", "quotation mark"),
        (b"a;b\n" + b"1;2\n" * 50_001, "50,000"),
    ],
    ids=range(11),
)
@ONE_ENGINE
@pytest.mark.usefixtures("clock")
def test_a_file_that_cannot_be_read_says_why_and_keeps_what_was_typed(desk: Desk, data: bytes, words: str) -> None:
    page = bring(desk, data, source="Where from")
    assert page.status == 422
    assert words in page.main
    assert page.fields("list-form")[1]["source"] == "Where from"


@ONE_ENGINE
def test_only_who_may_import_sends_more_than_others(app: Flask, desk: Desk, clock: Clock) -> None:
    data = as_csv(*[["x" * 50, "y" * 50, "z" * 50, "", ""]] * 4000)
    assert len(data) > 600_000
    assert bring(desk, data).status == 200
    auditor = Desk(app, "Chloe", "chloe@example.org", role="auditor")
    for browser in (auditor.browser, Browser(app)):
        answer = browser.client.post("/staff/imports/", data={"file": (io.BytesIO(data), "x.csv"), "source": "x"})
        assert answer.status_code in {403, 413}
    assert bring(desk, b"x" * 21_000_000).status == 413
