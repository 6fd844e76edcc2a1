"""An installation in the middle of its life: somebody in every state, and true parameters for every address."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask, url_for
from sqlalchemy import func, select, update
from time_machine import Traveller as Clock
from werkzeug.routing import Rule

from charter.domain import token as tokens
from charter.domain.blocks import Span
from charter.models.affiliation import Affiliation, AffiliationAlias
from charter.models.base import Base, db, writing
from charter.models.decision import Decision
from charter.models.desk import Proposal, SavedView
from charter.models.edition import EditionDraft
from charter.models.importing import ImportJob
from charter.models.limits import NotableName
from charter.models.outbox import Message
from charter.models.registry import PublicEntry
from charter.models.rights import AddressChange, Correction, Objection, WrittenRequest
from charter.models.signature import Signature
from charter.models.staff import StaffAccount
from charter.models.sweeping import Invalidation
from charter.operations import importing, outbox, staff
from charter.operations.importing import NewList
from charter.tlog.tiles import Tile
from charter.web.staff import factors
from tests.pages import Browser, Page
from tests.people import Desk, Observer, link_in, work

PASSWORD = "төрт сөз бір кілт"

Dump = dict[str, list[dict[str, Any]]]


def dump(app: Flask) -> Dump:
    """Every row of every table, in a fixed order."""
    with app.app_context():
        found: Dump = {}
        for table in Base.metadata.sorted_tables:
            order = list(table.primary_key.columns)
            rows = db.session.execute(select(table).order_by(*order)).mappings().all()
            found[table.name] = [dict(row) for row in rows]
        db.session.rollback()
        return found


def changed_tables(before: Dump, after: Dump) -> set[str]:
    """Names of the tables whose rows are not the same.

    But for when somebody was last at their desk: that is noted once a minute, which a slow machine takes longer than.
    """
    return {name for name in before if _without_visits(before[name]) != _without_visits(after[name])}


def _without_visits(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{column: value for column, value in row.items() if column != "last_seen_at"} for row in rows]


@dataclass(frozen=True)
class Memory:
    """What is kept of a told world besides its database: cookies and answers, by person; paths and ids."""

    cookies: dict[str, dict[Any, Any]]
    answers: dict[str, dict[str, Any]]
    staff_id: int
    confirm_path: str
    my_path: str
    message_id: int


class World:
    """Everybody has their own browser; `clock` stands on a Friday and ticks."""

    def __init__(self, app: Flask, clock: Clock, memory: Memory | None = None) -> None:
        self.app = app
        self.clock = clock
        self.people: dict[str, Observer] = {}
        if memory is not None:
            self._remember(memory)

    def _remember(self, memory: Memory) -> None:
        self.desk = Desk.__new__(Desk)
        self.desk.app, self.desk.id, self.desk.browser = self.app, memory.staff_id, Browser(self.app)
        self.desk.browser.client._cookies = dict(memory.cookies["desk"])
        for key, answers in memory.answers.items():
            self.people[key] = observer = Observer(self.app)
            observer.answers = dict(answers)
            observer.browser.client._cookies = dict(memory.cookies[key])
        self.confirm_path, self.my_path, self.message_id = memory.confirm_path, memory.my_path, memory.message_id

    def memory(self) -> Memory:
        """Enough to meet the same people again on a copy of the database."""
        browsers = {"desk": self.desk.browser, **{key: one.browser for key, one in self.people.items()}}
        return Memory(
            cookies={key: dict(browser.client._cookies or {}) for key, browser in browsers.items()},
            answers={key: dict(one.answers) for key, one in self.people.items()},
            staff_id=self.desk.id,
            confirm_path=self.confirm_path,
            my_path=self.my_path,
            message_id=self.message_id,
        )

    # ── the story ────────────────────────────────────────────────────────────────────────────────────────────────

    def tell(self) -> None:
        """Everything that happened before the test begins."""
        self.desk = Desk(self.app, "Бруно Сейітов", "bruno@example.org")
        with self.app.app_context(), writing():
            hashed = factors.hashed(PASSWORD)
            db.session.execute(update(StaffAccount).where(StaffAccount.id == self.desk.id).values(password=hashed))
            db.session.commit()
        amina = self._join("amina", "Әмина Серікқызы Оспанова")
        self._join("erlan", "Ерлан Қуанышұлы Бекенов", display="unlisted", organisation="Ерлан достары", region="KZ-71")
        self._join("maria", "Мария Петрова", kind="party", party="amanat", display="short", short_name="Мария П.")
        for _ in range(3):
            self.decide("approve")
        self.pass_seconds(11)
        # Maria leaves again, after she was published.
        self.people["maria"].browser.get("/ru/my/withdraw/").submit("withdraw-form")
        self.work()
        # Amina wants another region to stand there.
        amina.browser.get("/ru/my/correction/").submit("correction-form", region="KZ-71")
        self._join("john", "John Smith", kind="international", mission="Planet Express", region="ZZ", language="en")
        self.decide("decline", decline_reason="other", note="Позвоните нам, пожалуйста.")
        self._join("saule", "Сауле Ибраева", organisation="Азамат бақылауы")
        self.decide("ask", ask_reason="region-unclear", note="Алматы или область?")
        self.people["saule"].browser.get("/ru/my/address/").submit("address-form", email="saule.new@example.org")
        self.pass_seconds(11)
        self.people["john"].browser.get("/en/my/objection/").submit("objection-form", words="I do observe elections.")
        self.desk.browser.get("/staff/names/").submit(at="/staff/names/", name="Сауле Ибраева")
        # Somebody thinks about a new edition.
        self.desk.browser.get("/staff/editions/").submit("begin-form", slug="charter-2027")
        # Amina has asked on paper what is held about her.
        path = f"/staff/review/{self.signature_id('amina')}/letter/"
        letter = {"kind": "data", "reference": "7-11", "received_on": "2026-11-19", "is_checked": "y"}
        self.desk.browser.get(path).submit("letter-form", **letter)
        self._join("fresh", "Жанар Новая")
        chosen = self.desk.queue().submit("selection", pick=f"{self.signature_id('fresh')}.2")
        assert "/staff/bulk/" in chosen.submit(at="/staff/bulk/", action="approve", decide="1").url
        self.desk.browser.get("/staff/").submit(at="/staff/views/", name="Алматы")
        self._join("waiting", "Тимур Ждущий")
        together = {"domain": "example.org", "reason": "abuse", "note": "Одна почта."}
        self.desk.browser.get("/staff/invalidations/new").submit("invalidation-form", **together)
        self._sign("unconfirmed", "Куат Неподтвердивший")
        self.work()
        self.confirm_path = link_in(self.people["unconfirmed"].mail(), "/confirm/")
        for place, name in enumerate(("Бірінші Адам", "Екінші Адам", "Үшінші Адам", "Төртінші Адам")):
            self._sign(f"office{place}", name, email="office@example.org")
        self._fail_one_mail()
        self._bring_list()
        self.my_path = link_in(amina.mail(), "/my/")
        # Bruno wants Erlan's entry removed, and waits for a second person.
        path = f"/staff/review/{self.signature_id('erlan')}/revoke/"
        page = self.desk.browser.get(path).submit("revoke-form", reason="abuse", words="Өзі жазды.")
        assert "/staff/proposals/" in page.url, page.main

    def _observer(self, key: str, name: str, **answers: Any) -> Observer:
        answers = {"email": f"{key}@example.org", **answers}
        self.people[key] = Observer(self.app, full_name=name, **answers)
        return self.people[key]

    def _sign(self, key: str, name: str, **answers: Any) -> Page:
        page = self._observer(key, name, **answers).sign()
        assert page.url.endswith("/sign/check-mail/"), page.main
        return page

    def _join(self, key: str, name: str, **answers: Any) -> Observer:
        observer = self._observer(key, name, **answers)
        observer.sign()
        assert "/my/" in observer.confirm().url
        self.work()
        return observer

    def decide(self, action: str, **answers: Any) -> Page:
        """Of the application that is due first."""
        page = self.desk.decide(self.desk.open_first(), action, **answers)
        assert page.status == 200, page.main
        return page

    def pass_seconds(self, seconds: float) -> None:
        """Time passes and the worker works."""
        self.clock.shift(seconds)
        self.work()

    def work(self) -> None:
        """One round of the worker."""
        work(self.app)

    def _bring_list(self) -> None:
        """A list whose columns nobody has chosen yet."""
        now = datetime.now(UTC)
        header = ["ФИО", "Почта", "Область"]
        new = NewList("0" * 64, "Taraz", "csv", "utf-8", None, 1, header)
        with self.app.app_context():
            job_id = importing.begin(new, staff_id=self.desk.id, now=now)
            rows = [(2, ["Қайрат Жұмабаев", "kairat@example.org", "Тараз"]), (3, ["Ли 5", "li@example.org", "KZ-31"])]
            importing.add_rows(job_id, rows, staff_id=self.desk.id, is_last=True)

    def _fail_one_mail(self) -> None:
        now = datetime.now(UTC)
        with self.app.app_context():
            waiting = db.session.scalars(
                select(Message.id).where(Message.done_at.is_(None), ~Message.on_hold).order_by(Message.id)
            ).first()
            assert waiting is not None
            outbox.mark_failed(waiting, code="smtp-550", is_permanent=True, now=now)
        self.message_id = waiting

    # ── who looks ────────────────────────────────────────────────────────────────────────────────────────────────

    def stranger(self) -> Browser:
        """A browser without any cookie."""
        return Browser(self.app)

    def colleague(self) -> Browser:
        """Bruno's browser, password just given."""
        with self.desk.browser.client.session_transaction() as session:
            session["fs_paa"] = time.time()
        return self.desk.browser

    def halfway(self) -> Browser:
        """Somebody who gave a password and owes the second factor."""
        with self.app.app_context():
            now = datetime.now(UTC)
            if db.session.scalars(select(StaffAccount).filter_by(email="dana@example.org")).first() is None:
                digest = secrets.token_bytes(32)
                expires_at = now + timedelta(hours=1)
                staff.invite(
                    "Dana", email="dana@example.org", language="en", digest=digest, expires_at=expires_at, now=now
                )
                hashed = factors.hashed(PASSWORD)
                staff.accept_invitation(digest, password_hash=hashed, language="en", now=now)
        browser = Browser(self.app)
        page = browser.get("/staff/sign-in").submit("sign-in-form", email="dana@example.org", password=PASSWORD)
        assert page.url == "/staff/second-factor/set-up", page.main
        return browser

    def invitation(self, email: str = "chloe@example.org") -> str:
        """The token of a fresh invitation."""
        token = secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        with self.app.app_context():
            staff.invite(
                "Chloe",
                email=email,
                language="en",
                digest=hashlib.sha256(token.encode()).digest(),
                expires_at=now + timedelta(hours=1),
                now=now,
            )
        return token

    # ── true parameters ──────────────────────────────────────────────────────────────────────────────────────────

    def scalar(self, statement: Any) -> Any:
        """One value from the database."""
        with self.app.app_context():
            value = db.session.scalar(statement)
            db.session.rollback()
            return value

    def signature_id(self, key: str) -> int:
        """The newest signature of this person."""
        mailbox = self.people[key].answers["email"]
        value = self.scalar(select(func.max(Signature.id)).where(Signature.mailbox == mailbox))
        assert isinstance(value, int)
        return value

    def values(self, rule: Rule, *, lang: str = "ru") -> dict[str, Any]:
        """What to put into the address of a rule; an argument unknown here is a KeyError: say what is true."""
        # What has to be looked up is looked up for the rules that have it.
        known: dict[Any, Any] = {
            "lang": lang,
            "entry": lambda: self.scalar(select(PublicEntry.entry).order_by(PublicEntry.number).limit(1)),
            "slug": "almaty",
            "number": 1,
            "edition": "specimen-1",
            "draft_id": lambda: self.scalar(select(func.max(EditionDraft.id))),
            "signature_id": lambda: self.signature_id("waiting"),
            "decision_id": lambda: self.scalar(select(func.max(Decision.id))),
            "mark": lambda: self.scalar(select(Decision.bulk).where(Decision.bulk.is_not(None)).limit(1)),
            "view_id": lambda: self.scalar(select(func.max(SavedView.id))),
            "message_id": self.message_id,
            "job_id": lambda: self.scalar(select(func.max(ImportJob.id))),
            "proposal_id": lambda: self.scalar(select(func.max(Proposal.id))),
            ("staff.propose_revocation", "signature_id"): lambda: self.signature_id("amina"),
            "invalidation_id": lambda: self.scalar(select(func.max(Invalidation.id))),
            "name_id": lambda: self.scalar(select(func.max(NotableName.id))),
            "passkey_id": 1,
            "staff_id": self.desk.id,
            "session_id": 1,
            "correction_id": lambda: self.scalar(select(func.max(Correction.id))),
            "objection_id": lambda: self.scalar(select(func.max(Objection.id))),
            "affiliation_id": lambda: self.scalar(select(Affiliation.id).where(Affiliation.slug == "respublica")),
            "alias_id": lambda: self.scalar(select(func.max(AffiliationAlias.id))),
            "merge_id": 1,
            ("staff.words_meant", "signature_id"): lambda: self.signature_id("saule"),
            ("staff.match_words", "signature_id"): lambda: self.signature_id("saule"),
            "request_id": lambda: self.scalar(select(func.max(WrittenRequest.id))),
            "uid": lambda: next(self.app.config["CHARTER"].mail_path.glob("*.eml")).stem,
            "tile": Tile(0, 0, 1),
            ("api.affiliation", "slug"): "amanat",
            ("numbers.span", "wanted"): Span(1, 100),
            ("sitemap.entries", "wanted"): Span(1, 10_000),
            ("registry.affiliation", "slug"): "amanat",
            ("signing.confirm", "token"): self.confirm_path.rpartition("/")[2],
            ("not_me.not_me", "token"): self.confirm_path.rpartition("/")[2],
            ("entered.entered", "token"): self.confirm_path.rpartition("/")[2],
            ("my.open_link", "token"): self.my_path.rpartition("/")[2],
            ("my.confirm_address", "token"): lambda: tokens.token(
                self.app.config["CHARTER"].secret_key.encode(),
                "address-new",
                self.scalar(select(AddressChange.new_uid).order_by(AddressChange.id).limit(1)) or b"nobody",
            ),
            ("staff_auth.first", "token"): tokens.token(
                self.app.config["CHARTER"].secret_key.encode(), "first-staff", b"first"
            ),
        }
        if "token" in rule.arguments and rule.endpoint == "staff_auth.invitation":
            known["staff_auth.invitation", "token"] = self.invitation()
        found = {}
        for argument in rule.arguments:
            own = (rule.endpoint, argument)
            value = known[own] if own in known else known[argument]
            found[argument] = value() if callable(value) else value
        return found

    def address(self, rule: Rule, *, lang: str = "ru") -> str:
        """A true address of a rule."""
        with self.app.test_request_context("/"):
            return url_for(rule.endpoint, **self.values(rule, lang=lang))


def rules(app: Flask, method: str) -> list[Rule]:
    """Every rule that answers this method, in a fixed order."""
    return sorted(
        (rule for rule in app.url_map.iter_rules() if not rule.build_only and method in (rule.methods or ())),
        key=lambda rule: (rule.rule, rule.endpoint),
    )
