"""People with fixed rights: Amina signs, Bruno reviews, Dana is the second pair of eyes, Chloe only looks."""

from __future__ import annotations

import email
import email.policy
import hashlib
import re
import secrets
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import select, update

from charter import worker
from charter.models.base import db, writing
from charter.models.staff import StaffAccount
from charter.operations import staff
from tests.pages import Browser, Page

#: A hash that nobody knows the password of: a desk is signed in without one.
NO_PASSWORD = "$argon2id$v=19$m=8,t=1,p=1$xnkuadKhgZcmAo300mSy0g$UGPVgtZljU4GO2BmdnFgUP0T8frRLBSTKQ+K90jSGOY"

ANSWERS: dict[str, Any] = {
    "kind": "independent",
    "organisation": "",
    "full_name": "Әмина Серікқызы Оспанова",
    "region": "KZ-75",
    "display": "full",
    "email": "amina@example.org",
    "language": "ru",
    "is_adult": "y",
    "consent_processing": "y",
    "consent_publication": "y",
}


def work(app: Flask) -> tuple[int, int]:
    """One round of the worker: (leaves published, mails sent)."""
    return worker.run_once(app)


def mails(app: Flask) -> list[EmailMessage]:
    """Everything that was sent, oldest first."""
    folder: Path = app.config["CHARTER"].mail_path
    paths = sorted(folder.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
    found = []
    for path in paths:
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        found.append(message)
    return found


def text_of(message: EmailMessage) -> str:
    """The plain words of a mail."""
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def link_in(message: EmailMessage, part: str) -> str:
    """The path of the first link that contains `part`."""
    found = re.search(rf"https?://[^/\s]+(/\S*{re.escape(part)}\S*)", text_of(message))
    assert found, text_of(message)
    return found[1]


def code_in(message: EmailMessage) -> str:
    """The six digits on a line of their own."""
    found = re.search(r"^(\d{6})$", text_of(message), re.MULTILINE)
    assert found, text_of(message)
    return found[1]


class Observer:
    """Somebody at a browser who signs."""

    def __init__(self, app: Flask, **answers: Any) -> None:
        self.app = app
        self.browser = Browser(app)
        self.answers = ANSWERS | answers

    def sign(self, *, lang: str = "ru", without: tuple[str, ...] = (), **answers: Any) -> Page:
        """Fills in the form and sends it."""
        page = self.browser.get(f"/{lang}/sign/")
        return page.submit("sign-form", without=without, **(self.answers | answers))

    def mail(self) -> EmailMessage:
        """The newest mail to this person."""
        return next(mail for mail in reversed(mails(self.app)) if mail["To"] == self.answers["email"])

    def confirm(self) -> Page:
        """Follows the link of the newest mail in the browser that signed, and presses the button."""
        work(self.app)
        return self.browser.get(link_in(self.mail(), "/confirm/")).submit("confirm-form")

    def sign_and_confirm(self, **answers: Any) -> Page:
        """Both; returns *my signature*."""
        self.answers |= answers
        self.sign()
        return self.confirm()


class Desk:
    """A member of staff at the desk, already signed in: how one signs in is tested in its own place."""

    def __init__(
        self, app: Flask, name: str, address: str, *, role: str = "administrator", regions: list[str] | None = None
    ) -> None:
        self.app = app
        self.browser = Browser(app)
        now = datetime.now(UTC)
        token = secrets.token_urlsafe(16)
        with app.app_context():
            self.id = staff.invite(
                name, email=address, language="en", digest=secrets.token_bytes(32), expires_at=now, now=now
            )
            # A whole account without a ceremony: what counts here is what comes after signing in.
            with writing():
                db.session.execute(
                    update(StaffAccount)
                    .where(StaffAccount.id == self.id)
                    .values(
                        password=NO_PASSWORD,
                        role=role,
                        regions=regions,
                        tf_totp_secret="-",
                        tf_primary_method="authenticator",
                        mf_recovery_codes=["-"],
                        recovery_kept_at=now,
                        invite_digest=None,
                        invite_expires_at=None,
                    )
                )
                uniquifier = db.session.scalars(
                    select(StaffAccount.fs_uniquifier).where(StaffAccount.id == self.id)
                ).one()
                db.session.commit()
            staff.begin_session(self.id, digest=hashlib.sha256(token.encode()).digest(), now=now)
        with self.browser.client.session_transaction() as session:
            session["staff_session"] = token
            session["_user_id"] = uniquifier
            session["staff_language"] = "en"

    def queue(self) -> Page:
        """The list of what waits."""
        return self.browser.get("/staff/")

    def open_first(self) -> Page:
        """The dossier that is due first."""
        return self.browser.get(self.queue().href("/staff/review/"))

    def decide(self, page: Page, action: str, **answers: Any) -> Page:
        """Makes a decision on an open dossier."""
        return page.submit(at="/staff/review/", **{"action": action, **answers})
