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
    mailbox: for comparison only, and never written to: one form for all addresses that reach the same box.
    """

    address: str
    mailbox: str

    @property
    def folded(self) -> str:
        """The address without regard to case and nothing else: by it members of staff are known."""
        return _folded(self.address)

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
    """The comparison form of an address that clean_email returned: the same for every spelling its provider ignores.

    Only what a provider documents, or what nobody else could have: two people must never become one by it.
    """
    folded = _folded(address)
    local, _at, domain = folded.rpartition("@")
    provider = _PROVIDERS.get(domain)
    if provider is None:
        return folded
    box = local.partition("+")[0]
    for ignored in provider.ignored:
        box = box.replace(ignored, "")
    if provider.alike:
        box = box.replace(*provider.alike)
    return f"{box or local}@{provider.domain or domain}"


def _folded(address: str) -> str:
    return normalize("NFC", address.casefold())


@dataclass(frozen=True, slots=True)
class _Provider:
    """How one provider reads the part before the @; what follows a "+" is a tag with all of them.

    domain: the name that stands for all of its names; "" where each name has boxes of its own.
    ignored: signs that make no difference. alike: (sign, the one it equals).
    """

    domain: str = ""
    ignored: str = ""
    alike: tuple[str, str] | None = None


def _known_providers() -> dict[str, _Provider]:
    google = _Provider("gmail.com", ignored=".")
    # One login on every name of theirs; a dot and a hyphen in it are the same.
    yandex = _Provider("yandex.ru", alike=(".", "-"))
    proton = _Provider("proton.me", ignored="._-")
    apple = _Provider("icloud.com")
    # The same login is somebody else's at each of these names: only the tag goes.
    apart = _Provider()
    names = {
        google: "gmail.com googlemail.com",
        yandex: "yandex.ru ya.ru yandex.com yandex.kz yandex.by yandex.ua yandex.uz yandex.com.tr",
        proton: "proton.me protonmail.com protonmail.ch pm.me",
        apple: "icloud.com me.com mac.com",
        apart: "mail.ru inbox.ru list.ru bk.ru internet.ru xmail.ru outlook.com hotmail.com live.com live.ru"
        " msn.com fastmail.com fastmail.fm zohomail.com zoho.com",
    }
    return {name: provider for provider, joined in names.items() for name in joined.split()}


_PROVIDERS = _known_providers()


def display_address(address: str) -> str:
    """The address as its owner would write it: an ASCII domain back in its own letters, for that person's eyes only."""
    local, _, domain = address.rpartition("@")
    try:
        shown = validate_email(f"{local}@{domain}", check_deliverability=False).domain
    except EmailNotValidError:
        return address
    return f"{local}@{shown}"
