"""Which network a client is in, whose domain an address is, and how long a form was open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from charter.domain.network import domain_of, network_of
from charter.domain.start import LONGEST_OPEN, make_start, seconds_since


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("2001:DB8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        *((nobody, None) for nobody in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "")),
        *((nobody, None) for nobody in (None, "unix:", "localhost", "1.2.3", "1.2.3.4, 5.6.7.8", "٣.1.1.1", "a" * 999)),
    ],
)
def test_a_network_is_what_one_household_or_office_gets(address: str | None, network: str | None) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("a@example.kz", "example.kz"),
        ("a@Mail.Example.KZ", "example.kz"),
        ("a@a.b.c.d.example.com", "example.com"),
        ("a@example.com.kz", "example.com.kz"),
        ("a@x.y.example.org.kz", "example.org.kz"),
        ("a@com.kz", "com.kz"),
        ("a@co.uk", "co.uk"),
        ("a@org.example.com", "example.com"),
        ("a@localhost", "localhost"),
        ("a@xn--80a1acny.xn--80ao21a", "xn--80a1acny.xn--80ao21a"),
    ],
)
def test_names_beneath_a_domain_are_its_owners(address: str, domain: str) -> None:
    assert domain_of(address) == domain


KEY = b"a key for tests only, 32 characters"
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


def test_a_form_knows_how_long_it_was_open_for_days_and_however_the_clock_jumps() -> None:
    start = make_start(KEY, NOW)
    assert seconds_since(KEY, start, NOW + timedelta(seconds=2.9)) == 2
    assert seconds_since(KEY, start, NOW + timedelta(days=9)) == 9 * 86_400
    assert seconds_since(KEY, start, NOW + LONGEST_OPEN) == LONGEST_OPEN.total_seconds()
    assert seconds_since(KEY, start, NOW + LONGEST_OPEN + timedelta(seconds=1)) is None
    assert seconds_since(KEY, start, NOW - timedelta(days=1)) == -86_400


def test_only_we_can_say_when_a_form_was_shown() -> None:
    start = make_start(KEY, NOW)
    moment, _, mac = start.partition(".")
    forged = [f"{int(moment) - 60}.{mac}", f"{moment}.{mac[:-1]}0{mac[-1:]}", f"{moment}.", moment, f".{mac}", "", None]
    forged += [f"{moment}.é", f"٣.{mac}", f"+{moment}.{mac}", f" {moment}.{mac}", "9" * 5000, "\0.\0", f"-{start}"]
    assert [seconds_since(KEY, text, NOW + timedelta(hours=1)) for text in forged] == [None] * len(forged)
    assert seconds_since(b"another key for tests, 32 letters", start, NOW) is None
