"""Reading mail that was written to files: for trying the service on one's own machine, and nowhere else."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage
from pathlib import Path

from flask import Blueprint, Flask, abort, current_app, render_template, request

from charter.settings import Settings, is_loopback_host

blueprint = Blueprint("dev_mail", __name__)

MOST_SHOWN = 100
_FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via")
_LINK = re.compile(r"(https?://\S+)")


@blueprint.before_request
def _only_here() -> None:
    """Mail holds every secret link: bound to loopback, asked from loopback, and through no proxy."""
    config: Settings = current_app.config["CHARTER"]
    is_open = (
        config.mail_transport == "files"
        and not config.is_production
        and config.is_loopback
        and config.trusted_proxy_count == 0
        and is_loopback_host(request.remote_addr or "")
        and not any(name in request.headers for name in _FORWARDING)
    )
    if not is_open:
        abort(404)


def _parse(path: Path) -> EmailMessage:
    with path.open("rb") as file:
        message = email.message_from_binary_file(file, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


@blueprint.get("/dev/mail/")
def index() -> str:
    """The newest mails."""
    folder = current_app.config["CHARTER"].mail_path
    paths = sorted(folder.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns, reverse=True)[:MOST_SHOWN]
    return render_template("dev_mail/index.html", mails=[(path.stem, _parse(path)) for path in paths])


@blueprint.get("/dev/mail/<entry:uid>")
def message(uid: str) -> str:
    """One mail as its reader gets it, links to be pressed."""
    path = current_app.config["CHARTER"].mail_path / f"{uid}.eml"
    if not path.is_file():
        abort(404)
    mail = _parse(path)
    body = mail.get_body(("plain",))
    text = body.get_content() if body is not None else ""
    paragraphs = [[_LINK.split(line) for line in block.split("\n")] for block in text.strip().split("\n\n")]
    return render_template("dev_mail/message.html", mail=mail, paragraphs=paragraphs)


def init_app(app: Flask) -> None:
    """Registers the room; its door is closed unless this is one's own machine."""
    app.register_blueprint(blueprint)
