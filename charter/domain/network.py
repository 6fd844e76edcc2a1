"""From where a form comes, as far as limits need it: one network, and the domain that a mail address belongs to."""

from __future__ import annotations

import ipaddress

#: Beneath these, in a country's domain, names are given to others: `example.com.kz` is somebody's, `com.kz` nobody's.
_SHARED_LABELS = frozenset({"ac", "co", "com", "edu", "gov", "info", "mil", "net", "nom", "org"})


def network_of(address: str | None) -> str | None:
    """The network of a client: an IPv4 address, or an IPv6 /64, which is what one household or office gets.

    None for what is no network of anybody's: this machine itself, and no address at all.
    """
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif not (found.is_loopback or found.is_unspecified):
            return str(ipaddress.ip_network((found, 64), strict=False))
    return None if found.is_loopback or found.is_unspecified else str(found)


def domain_of(address: str) -> str:
    """The domain that an address belongs to, as somebody registered it: `a@mail.example.kz` → `example.kz`.

    Whoever owns a domain can make as many names beneath it as they like; all of them count as one.
    """
    labels = address.rpartition("@")[2].casefold().rstrip(".").split(".")
    kept = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SHARED_LABELS else 2
    return ".".join(labels[-kept:])
