"""Mail: a message of the outbox becomes words in one language, and leaves through SMTP or into files."""

from __future__ import annotations

import contextlib
import os
import smtplib
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from flask import render_template

from charter import centre
from charter.domain import bounce
from charter.domain import token as tokens
from charter.domain.email import mailbox_of
from charter.domain.mail import Delivery
from charter.i18n import _, speaking
from charter.queries import receipts, schema
from charter.queries.receipts import Receipt
from charter.settings import Settings


class DeliveryError(Exception):
    """A mail could not be handed over. code: for staff and logs, without anything personal.

    is_broken: the way out itself does not work, so the next mail would fail alike.
    was_offered: whether the way out has seen this mail, which may then be to blame.
    """

    def __init__(self, code: str, *, is_permanent: bool, is_broken: bool = False, was_offered: bool = True) -> None:
        super().__init__(code)
        self.code = code
        self.is_permanent = is_permanent
        self.is_broken = is_broken
        self.was_offered = was_offered


MOST_LINE_CHARS = 78


class _Policy(EmailPolicy):
    """The standard library's way to read and write headers takes half the time of a mail; most need none of it."""

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        """Takes plain ASCII as it is: it is taken apart when somebody asks for it, which nobody does here."""
        if type(value) is str and _is_plain(value):
            return name, value
        return super().header_store_parse(name, value)

    def fold_binary(self, name: str, value: str) -> bytes:
        """One header in lines of at most 78 characters, as RFC 5322 §2.1.1 advises; other than ASCII as RFC 2047."""
        text = str(value)
        if _is_plain(text) and len(name) + 2 + len(text) <= MOST_LINE_CHARS:
            return f"{name}: {text}{self.linesep}".encode("ascii")
        return _folded(name, text, self.linesep)


def _is_plain(text: str) -> bool:
    # Not printable is also a line break, with which a header could bring others along.
    return text.isascii() and text.isprintable()


@lru_cache(maxsize=256)
def _folded(name: str, text: str, linesep: str) -> bytes:
    # The sender and most subjects are the same in every mail of a kind and language.
    policy = EmailPolicy(max_line_length=MOST_LINE_CHARS, linesep=linesep)
    return policy.fold_binary(name, policy.header_factory(name, text))


@lru_cache(maxsize=256)
def _known_header(name: str, text: str) -> Any:
    # Taken apart once: the standard library parses every header that it is given as text.
    return _POLICY.header_factory(name, text)


_POLICY = _Policy(max_line_length=MOST_LINE_CHARS)


@dataclass(frozen=True)
class Words:
    """A mail as it is read: subject, and the text in paragraphs of lines."""

    subject: str
    text: str

    @property
    def paragraphs(self) -> list[list[str]]:
        """Blocks between empty lines."""
        return [block.split("\n") for block in self.text.strip().split("\n\n")]


def compose(
    kind: str, *, language: str, values: Mapping[str, Any], links: Mapping[str, str], settings: Settings
) -> Words:
    """The words of one kind of mail; also what staff preview before they decide.

    values: of the message; ISO texts become dates and moments again. links: names → addresses (and `code`).
    """
    shown = {key: _moment(key, value) for key, value in values.items()}
    context = {**shown, **links, "public_url": settings.public_url, "language": language, "lang": language}
    with speaking(language):
        subject = " ".join(render_template(f"mail/{kind}/subject.txt", **context).split())
        body = render_template(f"mail/{kind}/body.txt", **context)
    # One empty line between paragraphs, however the template's conditions fell.
    # The space after "--" stays: by it mail programs know a foot (RFC 3676 §4.3).
    lines = [line if line == "-- " else line.rstrip() for line in body.strip().split("\n")]
    text = "\n".join(line for place, line in enumerate(lines) if line or (place and lines[place - 1]))
    return Words(subject, text + "\n")


def _moment(name: str, value: Any) -> Any:
    if name.endswith("_on"):
        return date.fromisoformat(value)
    return datetime.fromisoformat(value) if name.endswith("_at") and isinstance(value, str) else value


def links_for(mail: Delivery, *, key: bytes, settings: Settings) -> dict[str, str]:
    """The addresses and the code that this mail brings, computed now and stored nowhere."""
    base = f"{settings.public_url}/{mail.language}"
    links = {"charter_url": f"{base}/charter/", "sign_url": f"{base}/sign/", "help_url": f"{base}/help/"}
    if "entry" in mail.values:
        links["entry_url"] = f"{base}/registry/entries/{mail.values['entry']}"
        links["verify_url"] = f"{base}/verify/?entry={mail.values['entry']}"
    if mail.first_uid is not None:
        links["not_me_url"] = f"{base}/not-me/{tokens.token(key, 'confirm', mail.first_uid)}"
        links["code"] = tokens.code(key, "confirm", mail.first_uid)
    if mail.link_purpose is None or mail.link_uid is None:
        return links
    token = tokens.token(key, mail.link_purpose, mail.link_uid)
    if mail.link_purpose == "confirm":
        links["confirm_url"] = f"{base}/confirm/{token}"
    elif mail.link_purpose == "personal":
        links["my_url"] = f"{base}/my/{token}"
    elif mail.link_purpose in {"address-old", "address-new"}:
        links["address_url"] = f"{base}/my/address/{token}"
    elif mail.link_purpose == "staff-invite":
        links["invitation_url"] = f"{settings.public_url}/staff/invitation/{token}"
        return links
    if mail.link_purpose == "address-new":
        links["not_me_url"] = f"{base}/not-me/{token}"
    if mail.link_purpose != "personal":
        links["code"] = tokens.code(key, mail.link_purpose, mail.link_uid)
    return links


#: The mail that a receipt is attached to.
PUBLISHED = "published"
#: In the values of such a mail: it was offered without, so that a repeat of it goes without as well.
WITHOUT_RECEIPT = "without_receipt"
#: So long, counted from the publication, a mail waits for witnesses to see the leaf; then it goes without.
RECEIPT_WAIT = timedelta(seconds=60)
#: Until the receipt is looked for once more.
RECEIPT_PAUSE = timedelta(seconds=5)


class ReceiptComingError(Exception):
    """The receipt that this mail should bring is about to be there."""


def receipt_for(mail: Delivery, *, now: datetime) -> Receipt | None:
    """What is attached to this mail; None for all but one kind, and where there is no receipt or it is late.

    Raises ReceiptComingError while the mail should wait for it. Leaves no transaction open.
    """
    if mail.kind != PUBLISHED or mail.values.get(WITHOUT_RECEIPT):
        return None
    entry = str(mail.values["entry"])
    try:
        found = receipts.receipt_of(entry)
        # A clock that has gone back must not make a mail wait for ever.
        is_fresh = timedelta(0) <= now - mail.created_at < RECEIPT_WAIT
        if found is None and is_fresh and receipts.papers_of(entry).record == "coming":
            raise ReceiptComingError
        return found
    finally:
        schema.let_go()


def render(mail: Delivery, *, key: bytes, settings: Settings, receipt: Receipt | None = None) -> EmailMessage:
    """The whole mail, text and HTML; a repeat has the same Message-ID. Needs an application context.

    receipt: is attached, as two files.
    """
    values = dict(mail.values) | {"has_receipt": receipt is not None}
    if mail.link_expires_at is not None:
        values["expires_at"] = mail.link_expires_at
    words = compose(
        mail.kind,
        language=mail.language,
        values=values,
        links=links_for(mail, key=key, settings=settings),
        settings=settings,
    )
    with speaking(mail.language):
        sender = settings.mail_from_name or centre.recent(settings).name or _("Charter of Election Observers")
        html = render_template("mail/layout.html", words=words, lang=mail.language, sender=sender)
    message = EmailMessage(policy=_POLICY)
    local, _at, domain = settings.mail_from.rpartition("@")
    message["From"] = _known_header("From", str(Address(sender, local, domain)))
    message["To"] = mail.recipient
    message["Subject"] = _known_header("Subject", words.subject)
    message["Date"] = format_datetime(mail.created_at)
    message["Message-ID"] = f"<{mail.uid}@{domain or urlsplit(settings.public_url).hostname}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(words.text)
    message.add_alternative(html, subtype="html")
    # The same bytes each time, and short enough to stand on one line.
    message.set_boundary(f"={mail.uid}")
    if receipt is not None:
        _attach(message, receipt)
        message.set_boundary(f"=.{mail.uid}")
    # Last: becoming multipart moves the Content- headers there are into the first part.
    message["Content-Language"] = mail.language
    return message


def _attach(message: EmailMessage, receipt: Receipt) -> None:
    """Both as bytes: as text their ends of lines, and with them what they prove, would be the mail programs' affair."""
    message.add_attachment(receipt.record, maintype="application", subtype="json", filename="record.json")
    proof = receipt.proof_text.encode()
    message.add_attachment(proof, maintype="application", subtype="octet-stream", filename="receipt.tlog-proof")


def envelope_sender(mail: Delivery, *, key: bytes, settings: Settings) -> str | None:
    """Where this mail goes when it comes back: an address of its own; None where nothing was set up for it."""
    if not settings.bounce_address:
        return None
    mailbox = mailbox_of(mail.recipient)
    return bounce.envelope_sender(settings.bounce_address, uid=mail.uid, mailbox=mailbox, key=key)


class Transport(Protocol):
    """A way out."""

    def send(self, message: EmailMessage, *, uid: str, sender: str | None = None) -> None:
        """Hands one mail over, or raises DeliveryError. sender: of the envelope, unless it is that of the mail."""

    def close(self) -> None:
        """Lets go of what is held open."""


class FileTransport:
    """Writes each mail into a folder, under its own name: a repeat replaces the same file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def send(self, message: EmailMessage, *, uid: str, sender: str | None = None) -> None:
        """Whole or not at all: written aside, then renamed. What an envelope would say stands in a header."""
        if sender is not None:
            message["X-Envelope-From"] = sender
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            aside = self.folder / f".{uid}.{os.getpid()}"
            aside.write_bytes(message.as_bytes())
            aside.replace(self.folder / f"{uid}.eml")
        except OSError as error:
            raise DeliveryError(f"file-{error.errno}", is_permanent=False, is_broken=True, was_offered=False) from error

    def close(self) -> None:
        """Nothing is held open."""


#: What servers say before they close a connection, for instance one that stood idle (RFC 5321 §3.8).
CLOSING = 421
#: That a connection was closed long ago shows at once; a silence that lasts longer is another failure.
IDLE_SECONDS = 1
#: A goodbye is a courtesy.
GOODBYE_SECONDS = 2


def flat(message: EmailMessage) -> bytes:
    """A mail of `render` as it crosses the wire: the same bytes as the library's generator, in a third of its time."""
    return b"\r\n".join([*_lines(message), b""])


def _lines(part: Any) -> list[bytes]:
    lines = _header_lines(part)
    if not part.is_multipart():
        # Encoded as its header says, or else the letters themselves (8bit).
        body = str(part.get_payload()).encode("utf-8", "surrogateescape")
        return [*lines, b"", b"\r\n".join(body.splitlines())]
    boundary = f"--{part.get_boundary()}".encode("ascii")
    for one in part.iter_parts():
        lines += [b"", boundary, *_lines(one)]
    return [*lines, b"", boundary + b"--"]


def _header_lines(part: Any) -> list[bytes]:
    policy = _WIRE_POLICY
    return [policy.fold_binary(name, value).removesuffix(b"\r\n") for name, value in part.raw_items()]


_WIRE_POLICY = _Policy(max_line_length=MOST_LINE_CHARS, linesep="\r\n")


def _hand_over(connection: smtplib.SMTP, message: EmailMessage, *, sender: str | None, mail_from: str) -> None:
    recipient = str(dict(message.raw_items())["To"])
    if message.is_multipart() and recipient.isascii() and mail_from.isascii():
        connection.sendmail(sender or mail_from, [recipient], flat(message))
    else:
        # Whether the server takes other letters in an address is for the library to find out.
        connection.send_message(message, from_addr=sender)


class SmtpTransport:
    """One connection to the mail server, kept open between mails and opened anew when it has gone."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.connection: smtplib.SMTP | None = None

    def _open(self) -> smtplib.SMTP:
        """A connection that is ready for mail. Whatever goes wrong here is no mail's fault, and ours to mend."""
        try:
            return self._greet()
        except smtplib.SMTPAuthenticationError as error:
            code = f"smtp-login-{error.smtp_code}"
        except smtplib.SMTPResponseException as error:
            code = f"smtp-{error.smtp_code}"
        except (smtplib.SMTPException, OSError) as error:
            code = f"smtp-{type(error).__name__}"
        raise DeliveryError(code, is_permanent=False, is_broken=True, was_offered=False)

    def _greet(self) -> smtplib.SMTP:
        settings = self.settings
        context = ssl.create_default_context()
        if settings.smtp_security == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                settings.smtp_host, settings.smtp_port, timeout=settings.smtp_timeout_seconds, context=context
            )
        else:
            connection = smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=settings.smtp_timeout_seconds)
        try:
            if settings.smtp_security == "starttls":
                connection.starttls(context=context)
            if settings.smtp_username:
                connection.login(settings.smtp_username, settings.smtp_password)
            connection.ehlo_or_helo_if_needed()
        except BaseException:
            connection.close()
            raise
        return connection

    def send(self, message: EmailMessage, *, uid: str, sender: str | None = None) -> None:
        """Refusals of the address are permanent, everything else is worth another attempt."""
        try:
            if self.connection is None:
                self.connection = self._open()
                _hand_over(self.connection, message, sender=sender, mail_from=self.settings.mail_from)
                return
            begun = time.monotonic()
            try:
                _hand_over(self.connection, message, sender=sender, mail_from=self.settings.mail_from)
            except (smtplib.SMTPServerDisconnected, smtplib.SMTPResponseException) as error:
                was_idle = time.monotonic() - begun < IDLE_SECONDS
                if getattr(error, "smtp_code", CLOSING) != CLOSING or not was_idle:
                    raise
                # The server has closed a connection that stood idle, with or without a word: once more on a new one.
                self._drop()
                self.connection = self._open()
                _hand_over(self.connection, message, sender=sender, mail_from=self.settings.mail_from)
        except smtplib.SMTPRecipientsRefused as error:
            status = next(iter(error.recipients.values()))[0]
            self._rest()
            raise DeliveryError(
                f"smtp-{status}", is_permanent=500 <= status < 600, is_broken=status == CLOSING
            ) from None
        except smtplib.SMTPResponseException as error:
            self._drop()
            is_about_mail = isinstance(error, smtplib.SMTPDataError)
            raise DeliveryError(
                f"smtp-{error.smtp_code}",
                is_permanent=is_about_mail and 500 <= error.smtp_code < 600,
                is_broken=error.smtp_code == CLOSING,
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            is_broken = isinstance(error, (smtplib.SMTPServerDisconnected, OSError))
            raise DeliveryError(f"smtp-{type(error).__name__}", is_permanent=False, is_broken=is_broken) from None

    def _rest(self) -> None:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            if self.connection is not None:
                self.connection.rset()

    def _drop(self) -> None:
        """Without a word: a server that no longer answers would make us wait for its goodbye as well."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Says goodbye if the server still listens."""
        connection, self.connection = self.connection, None
        if connection is None:
            return
        with contextlib.suppress(smtplib.SMTPException, OSError):
            if connection.sock is not None:
                connection.sock.settimeout(GOODBYE_SECONDS)
            connection.quit()
        connection.close()


def transport_for(settings: Settings) -> Transport:
    """The way out that the settings choose."""
    return SmtpTransport(settings) if settings.mail_transport == "smtp" else FileTransport(settings.mail_path)
