"""A mail server for the journeys: whatever the service delivers by SMTP arrives here and can be waited for."""

from __future__ import annotations

import email
import email.policy
import re
import threading
import time
from email.message import EmailMessage
from types import TracebackType

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.people import text_of
from tests.service import free_port

#: The worker looks every half second, and a slow machine needs time to start it.
PATIENCE_SECONDS = 30


class Postbox:
    """Every address at once. Used as `with Postbox() as postbox`."""

    def __init__(self) -> None:
        self.port = free_port()
        self.mails: list[tuple[str, EmailMessage]] = []
        self._arrival = threading.Condition()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    def __enter__(self) -> Postbox:
        self._controller.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._controller.stop()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Takes a mail in."""
        # Lines end as they do in a file: the line breaks of the wire would stay in the text of 7-bit mails only.
        content = (envelope.original_content or b"").replace(b"\r\n", b"\n")
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        with self._arrival:
            self.mails += [(address, message) for address in envelope.rcpt_tos]
            self._arrival.notify_all()
        return "250 taken"

    def to(self, address: str) -> list[EmailMessage]:
        """All mail to one address, oldest first."""
        return [message for recipient, message in self.mails if recipient == address]

    def wait(self, address: str, part: str, *, count: int = 1) -> EmailMessage:
        """The mail number `count` to this address whose text contains `part`."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        with self._arrival:
            while True:
                found = [message for message in self.to(address) if part in text_of(message)]
                if len(found) >= count:
                    return found[count - 1]
                left = give_up - time.monotonic()
                assert left > 0, f"No mail with {part!r} for {address}; there are {[str(m) for m in self.to(address)]}"
                self._arrival.wait(left)

    def nth(self, address: str, place: int) -> EmailMessage:
        """The mail to this address after `place` others, whatever is in it."""
        with self._arrival:
            assert self._arrival.wait_for(lambda: len(self.to(address)) > place, PATIENCE_SECONDS), address
            return self.to(address)[place]


def links_of(message: EmailMessage) -> list[str]:
    """Every address in a mail, from its text and from its HTML."""
    html = message.get_body(("html",))
    assert html is not None
    found = re.findall(r"https?://\S+", text_of(message)) + re.findall(r'href="(http[^"]+)"', html.get_content())
    return list(dict.fromkeys(found))
