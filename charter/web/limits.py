"""How often doors may be tried, most of them the Centre's: Flask-Limiter, counting in our own database.

What is limited, and why so:

- Passwords: by account *from one network*, by network, and, more generously, by account from everywhere. The last is
  what many networks together run into; by itself it would let whoever knows an address keep its owner out.
- Codes of the second factor: the same three. Only somebody who already gave the right password comes that far.
- A browser in which the owner has signed in before brings a long-lived cookie, of which the database keeps a digest.
  It is counted by itself, in all three: whatever strangers do, from wherever, does not shut it. Nobody else can have
  that cookie, and with it one has no more tries than one network.
- Passkeys: by network. An answer cannot be guessed; what is limited is the work of checking it. In place of a code of
  the app it counts as a code.
- First account and invitations: by network.
- Asking for the personal link, the one door of these that is everybody's: by network, before the address is looked at.
  Generously, for whole mobile networks stand behind few addresses; what a mailbox is sent is limited elsewhere.

A network is an IPv4 address or an IPv6 /64, which is what one household or office gets. Every try counts, also a right
one, before anything is checked: tries that come at once cannot slip past. The table holds keyed digests only.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import Flask, Response, current_app, g, request, session
from flask_limiter import Limiter
from limits.storage import Storage

from charter import clock
from charter.domain.email import EmailError, clean_email
from charter.operations import staff as operations
from charter.queries import staff as queries
from charter.web import headers

V = TypeVar("V", bound=Callable[..., Any])

PASSWORD_BY_ACCOUNT = "8 per 15 minutes"  # noqa: S105 - a limit
PASSWORD_BY_STRANGERS = "60 per hour"  # noqa: S105 - below _COUNTED_AT_MOST
PASSWORD_BY_NETWORK = "40 per 15 minutes"  # noqa: S105
CODE_BY_ACCOUNT_AND_NETWORK = "8 per 15 minutes"
CODE_BY_ACCOUNT = "30 per hour"
CODE_BY_NETWORK = "60 per 15 minutes"
PASSKEY_BY_NETWORK = "40 per 15 minutes"
LINK_BY_NETWORK = "20 per hour"
ASKED_BY_NETWORK = "60 per 15 minutes"

#: Beyond every limit. A flood stops costing writes here.
_COUNTED_AT_MOST = 100


class DatabaseStorage(Storage):
    """Counters in the table `rate_limit`: web processes share them without another server."""

    STORAGE_SCHEME = ["charter"]  # noqa: RUF012 - declared so by the base class

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        return ()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Counts and returns the sum within the window."""
        counted = self.get(key)
        if counted >= _COUNTED_AT_MOST:
            return counted + amount
        return operations.count_attempt(_column(key), window_seconds=int(expiry), amount=amount, now=clock.now())

    def get(self, key: str) -> int:
        """What was counted within the window."""
        found = queries.find_attempts(_column(key), now=clock.now())
        return 0 if found is None else found.count

    def get_expiry(self, key: str) -> float:
        """When the window is over, in seconds since 1970."""
        now = clock.now()
        found = queries.find_attempts(_column(key), now=now)
        return (now if found is None else found.expires_at).timestamp()

    def check(self) -> bool:
        """A broken database shows itself when it is asked."""
        return True

    def reset(self) -> int | None:
        """Forgets every counter."""
        return operations.forget_attempts()

    def clear(self, key: str) -> None:
        """Forgets one counter."""
        operations.forget_attempts(_column(key))


def _column(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


# ── who is asking: digests, because Flask-Limiter writes its keys to the log ─────────────────────────────────────────


def by_network() -> str:
    """The network the request comes from."""
    return _digest("network", _network())


def by_network_of_strangers() -> str:
    """The network, unless the browser is known to the account."""
    return _known_browser() or by_network()


def by_account_and_network() -> str:
    """The account that is being tried, from this network; or from a browser that it knows."""
    return _known_browser() or _digest("account and network", _account(), _network())


def by_account() -> str:
    """The account that is being tried, by strangers from wherever; or from a browser that it knows."""
    return _known_browser() or _digest("account", _account())


#: The long-lived cookie of a browser that has signed in.
DEVICE_COOKIE = "staff_device"
_DEVICE_TOKEN = re.compile(r"[\w-]{43}", re.ASCII)


def device_token() -> str | None:
    """What the browser brings from an earlier time, if it has the shape of it."""
    token = headers.get_cookie(DEVICE_COOKIE) or ""
    return token if _DEVICE_TOKEN.fullmatch(token) else None


def device_digest(token: str) -> bytes:
    """What the database keeps of it."""
    return hashlib.sha256(b"staff device\0" + token.encode()).digest()


def _known_browser() -> str | None:
    """The key of a browser that has signed in to the account before; None for a stranger's."""
    token = device_token()
    if token is None:
        return None
    account = _account()
    if (account, token) != g.get("staff_browser_asked"):
        digest = device_digest(token)
        is_uniquifier = _session_account() is not None
        named = {"uniquifier": account} if is_uniquifier else {"email": account}
        g.staff_browser_asked = (account, token)
        g.staff_browser_known = queries.knows_device(digest, **named)
    return _digest("known browser", account, token) if g.staff_browser_known else None


def _network() -> str:
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((address, 64), strict=False))
        address = address.ipv4_mapped
    return str(address)


def _account() -> str:
    """Who got through the first step or is signed in, else the address that was typed; the account need not exist."""
    known = _session_account()
    if known is not None:
        return known
    typed = request.form.get("email", "")
    try:
        return clean_email(typed).folded
    except EmailError:
        return typed.strip().casefold()[:320]


def _session_account() -> str | None:
    known = session.get("tf_user_id") or session.get("_user_id")
    return str(known) if known and request.endpoint != "staff_auth.login" else None


def _digest(*parts: str) -> str:
    key = current_app.config["CHARTER"].secret_key.encode()
    message = "\0".join(("staff rate limit", *parts)).encode("utf-8", "surrogatepass")
    return hmac.digest(key, message, "sha256").hex()


# ── the limits ───────────────────────────────────────────────────────────────────────────────────────────────────────

limiter = Limiter(by_network, storage_uri="charter://", strategy="fixed-window", headers_enabled=False)


def _several(scope: str, *limits: tuple[str, Callable[[], str]]) -> Callable[[V], V]:
    def decorate(view: V) -> V:
        limited: Any = view
        for value, key in limits:
            limited = limiter.shared_limit(value, scope=scope, key_func=key, methods=["POST"])(limited)
        return cast("V", limited)

    return decorate


#: For views that check a password.
of_passwords = _several(
    "password",
    (PASSWORD_BY_STRANGERS, by_account),
    (PASSWORD_BY_NETWORK, by_network_of_strangers),
    (PASSWORD_BY_ACCOUNT, by_account_and_network),
)
#: For views that check a code of the second factor, of either sort.
of_codes = _several(
    "code",
    (CODE_BY_ACCOUNT, by_account),
    (CODE_BY_NETWORK, by_network_of_strangers),
    (CODE_BY_ACCOUNT_AND_NETWORK, by_account_and_network),
)
#: For views that check what a passkey answered, where nobody said before who they are.
of_passkeys = _several("passkey", (PASSKEY_BY_NETWORK, by_network))
#: For views behind a one-time link.
of_links = _several("link", (LINK_BY_NETWORK, by_network))
#: For the page where a signatory asks for the personal link.
of_link_requests = _several("personal link", (ASKED_BY_NETWORK, by_network))


def _say_when(response: Response) -> Response:
    """A 429 says when to come back."""
    limit = limiter.current_limit
    if response.status_code == 429 and limit is not None and limit.breached:
        left_seconds = limit.window.reset_time - clock.now().timestamp()
        response.headers["Retry-After"] = str(max(1, math.ceil(left_seconds)))
    return response


def init_app(app: Flask) -> None:
    """Attaches the limiter; views that are not decorated above are not limited here."""
    limiter.init_app(app)
    app.after_request(_say_when)
    # What is decorated checks by itself; the look that the library takes before each request has nothing to find, and
    # costs as much as finding the page.
    hooks = app.before_request_funcs[None]
    hooks[:] = [hook for hook in hooks if getattr(hook, "__self__", None) is not limiter]
