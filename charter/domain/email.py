"""Email addresses: which are taken, how they are written, and when two are one mailbox.

No DNS is asked (a lookup would tell the resolver who is about to sign); only the confirming mail proves an address.
"""

from dataclasses import dataclass
from enum import StrEnum
from unicodedata import category, normalize

from email_validator import EmailNotValidError, validate_email

from charter.domain.errors import CharterError

#: RFC 5321 §4.5.3.1.3: a path of 256 octets less its angle brackets.
EMAIL_MAX_CHARS = 254


class EmailFault(StrEnum):
    """Why an address was refused. The value is stable: pages translate by it."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    CONTROL = "control"
    FORMULA = "formula"
    LOCAL_NOT_ASCII = "local_not_ascii"
    SYNTAX = "syntax"


class EmailError(CharterError, ValueError):
    """An address that may not be kept. code: the reason; the address is not carried, so that no log can hold it."""

    def __init__(self, code: EmailFault) -> None:
        super().__init__(code.value)
        self.code = code


@dataclass(frozen=True, slots=True, repr=False)
class EmailAddress:
    """address: ASCII, ready for an SMTP envelope, the part before the @ in the case it was typed in.
    mailbox: the form in which addresses are compared; "+tags" and dots stay, since only some providers ignore them.
    """

    address: str
    mailbox: str

    def __repr__(self) -> str:
        return "EmailAddress(…)"  # a stray log line or traceback must not show it


def clean_email(raw: str) -> EmailAddress:
    """The address as kept and as compared. A domain in other letters is kept in its ASCII (IDNA 2008) form.

    Raises EmailError and nothing else.
    """
    typed = raw.strip()
    if not typed:
        raise EmailError(EmailFault.EMPTY)
    if len(typed) > EMAIL_MAX_CHARS:
        raise EmailError(EmailFault.TOO_LONG)
    if any(category(character).startswith("C") for character in typed):
        raise EmailError(EmailFault.CONTROL)
    if normalize("NFKC", typed[0])[:1] in ("=", "+", "-", "@"):
        raise EmailError(EmailFault.FORMULA)
    local, at, _domain = typed.rpartition("@")
    if at and not local.isascii():
        # Far more often a Cyrillic «а» from the wrong keyboard than an address that most servers could deliver to.
        raise EmailError(EmailFault.LOCAL_NOT_ASCII)
    try:
        valid = validate_email(typed, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError as error:
        raise EmailError(EmailFault.SYNTAX) from error
    address = f"{valid.local_part}@{valid.ascii_domain}"
    return EmailAddress(address=address, mailbox=mailbox_of(address))


def mailbox_of(address: str) -> str:
    """The comparison form of an address that clean_email returned."""
    return normalize("NFC", address.casefold())


def display_address(address: str) -> str:
    """The address as its owner would write it: an ASCII domain back in its own letters, for that person's eyes only."""
    local, _, domain = address.rpartition("@")
    try:
        shown = validate_email(f"{local}@{domain}", check_deliverability=False).domain
    except EmailNotValidError:
        return address
    return f"{local}@{shown}"
