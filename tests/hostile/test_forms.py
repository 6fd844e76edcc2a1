"""Every field of every form with everything that strangers type: no failure, nothing stored, typed words kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from justhtml import JustHTML

from charter.operations.staff import forget_attempts
from tests.hostile.values import ALL, TEXTS, body_of
from tests.house.world import PASSWORD, World, changed_tables, dump
from tests.pages import Browser
from tests.people import ANSWERS, link_in

FORM = "application/x-www-form-urlencoded"


def post(browser: Browser, path: str, fields: dict[str, Any], content_type: str = FORM) -> Any:
    """One POST as it stands, redirects not followed."""
    return browser.client.post(path, data=body_of(fields), content_type=content_type)


def sign_fields(page_fields: dict[str, Any]) -> dict[str, Any]:
    return {"party": "", "party_other": "", "mission": "", "short_name": "", **page_fields, **ANSWERS}


# name → (whose browser, where the form stands, its id or None, else part of its action)
Opener = Callable[[World], tuple[Browser, str, str | None, str | None]]

FORMS: dict[str, Opener] = {
    "sign": lambda world: (world.stranger(), "/ru/sign/", "sign-form", None),
    "confirm": lambda world: (world.stranger(), world.confirm_path, "confirm-form", None),
    "edit": lambda world: (world.people["waiting"].browser, "/ru/my/edit/", "edit-form", None),
    "answer": lambda world: (world.people["saule"].browser, "/ru/my/", "answer-form", None),
    "correct the entry": lambda world: (
        world.people["amina"].browser,
        "/ru/my/correction/",
        "correction-form",
        None,
    ),
    "show the entry": lambda world: (_elsewhere(world, "amina"), "/ru/my/display/", "display-form", None),
    "answer a correction": lambda world: (world.colleague(), "/staff/corrections/1/", "answer-form", None),
    "withdraw": lambda world: (_elsewhere(world), "/ru/my/withdraw/", "withdraw-form", None),
    "ask for the link": lambda world: (world.stranger(), "/ru/my-link/", "ask-form", None),
    "change the address": lambda world: (_elsewhere(world), "/ru/my/address/", "address-form", None),
    "confirm the address": lambda world: (
        world.stranger(),
        link_in(world.people["saule"].mail(), "/my/address/"),
        "confirm-address-form",
        None,
    ),
    "renew the link": lambda world: (_elsewhere(world), "/ru/my/link/", "renew-form", None),
    "language of mail": lambda world: (_elsewhere(world), "/ru/my/", "language-form", None),
    "ask for a code": lambda world: (_elsewhere(world), "/ru/my/withdraw/", "code-form", None),
    "decide": lambda world: (
        world.colleague(),
        f"/staff/review/{world.signature_id('waiting')}/",
        None,
        f"/staff/review/{world.signature_id('waiting')}/",
    ),
    "sign in": lambda world: (world.stranger(), "/staff/sign-in", "sign-in-form", None),
    "code of the app": lambda world: (_before_the_code(world), "/staff/second-factor/set-up", "code-form", None),
    "invitation": lambda world: (world.stranger(), f"/staff/invitation/{world.invitation()}", "account-form", None),
    "change password": lambda world: (world.colleague(), "/staff/account/password", "password-form", None),
    "password check": lambda world: (world.colleague(), "/staff/password-check", "password-form", None),
    "language of the desk": lambda world: (world.colleague(), "/staff/", None, "/staff/language"),
}


def _before_the_code(world: World) -> Browser:
    """Somebody to whom the key of the app is being shown."""
    browser = world.halfway()
    browser.get("/staff/second-factor/set-up").submit("set-up-form")
    return browser


def _elsewhere(world: World, who: str = "saule") -> Browser:
    """The page of Saule, or somebody else, in a browser in which they did not sign."""
    browser = world.stranger()
    browser.client._cookies = {
        key: value for key, value in (world.people[who].browser.client._cookies or {}).items() if "signer" not in key
    }
    return browser


#: Tried in each field by itself; everything else in many fields at once, since fields are checked independently.
ALONE = {"nul", "not UTF-8", "surrogate", "huge number", "beyond 64 bits", "prototype"}
#: Each try computes a password's hash.
COSTLY = {"sign in", "change password", "password check", "invitation"}
CHOICES = {"kind", "party", "region", "display", "language", "is_adult", "consent_processing", "action"}


def groups_of(fields: dict[str, Any]) -> list[list[str]]:
    """All fields at once, only what is typed, only what is chosen, and each alone; the token only alone."""
    names = [name for name in fields if name != "csrf_token"]
    several = [names, [name for name in names if name not in CHOICES], [name for name in names if name in CHOICES]]
    return [group for group in several if len(group) > 1] + [[name] for name in fields]


@pytest.mark.parametrize("name", FORMS)
def test_no_field_of_a_form_breaks_the_service_or_is_stored_unchecked(world: World, name: str) -> None:
    browser, path, form_id, action = FORMS[name](world)
    page = browser.get(path)
    url, fields = page.fields(form_id, at=action)
    if name == "sign":
        # Without a consent nothing may be stored, whatever the rest says.
        fields = {key: value for key, value in sign_fields(fields).items() if key != "consent_publication"}
    if name in {"edit", "answer", "correct the entry"}:
        # These forms check every field before they look at the result of the token.
        fields["csrf_token"] = "stale"
    if name == "ask for a code":
        fields["csrf_token"] = ""
    if name in {"decide", "answer a correction"}:
        fields["action"] = "none of these"
    if name in {"invitation", "change password"}:
        # Any text may be a password: never the same one twice.
        del fields["again"]
    before = dump(world.app)
    for group in groups_of(fields):
        for kind, value in ALL.items():
            if (len(group) == 1 or name in COSTLY) and kind not in ALONE:
                continue
            if path.startswith("/staff"):
                # Else only the first few tries would reach the form.
                with world.app.app_context():
                    forget_attempts()
            answer = post(browser, url, {**fields, **dict.fromkeys(group, value)})
            assert answer.status_code < 500, (group, kind)
            assert b"Traceback" not in answer.data
            assert b"<script>alert" not in answer.data, (group, kind)
            assert b"onerror=alert(1)>" not in answer.data, (group, kind)
            assert b"<b>bold" not in answer.data, (group, kind)
            assert "Bcc:" not in str(answer.headers), (group, kind)
    for field in fields:
        arrays = post(browser, url, {**fields, field: [b"a", b"b", b"\xff"], f"{field}[]": b"c", f"{field}[$ne]": b""})
        assert arrays.status_code < 500, field
        missing = post(browser, url, {key: value for key, value in fields.items() if key != field})
        assert missing.status_code < 500, field
    # Counters of attempts are what a guess may leave behind, and a wrong code beside its link.
    counted = {"confirm": "link", "withdraw": "link", "confirm the address": "address_change"}
    assert changed_tables(before, dump(world.app)) <= {"rate_limit", counted.get(name, "rate_limit")}


KEPT = ("full_name", "short_name", "email", "organisation", "mission", "party_other")


def shown(html: str, field: str) -> str:
    """What a browser would show in a text field of the page."""
    node = JustHTML(html, sanitize=False).query(f"input[name={field}]")[0]
    return node.attrs.get("value") or ""


def as_typed(value: str) -> str:
    """What is left of a text in a one-line field once a browser has shown it: no line breaks, no NUL."""
    return value.replace("\r", "").replace("\n", "").replace("\x00", "\ufffd")


@pytest.mark.parametrize("field", KEPT)
def test_what_was_typed_stays_on_the_page_word_for_word(world: World, field: str) -> None:
    browser = world.stranger()
    page = browser.get("/ru/sign/")
    url, fields = page.fields("sign-form")
    fields = sign_fields(fields)
    del fields["consent_processing"]
    for kind, value in TEXTS.items():
        if kind in {"surrogate", "long", "huge number", "white space", "zalgo", "unassigned"}:
            continue  # not text that a browser could have sent, or that fits the field
        response = post(browser, url, {**fields, field: value})
        assert response.status_code == 422, kind
        kept = shown(response.get_data(as_text=True), field)
        assert as_typed(kept) == as_typed(value) or kept == value.strip(), kind


HOSTILE_NAMES = [
    "Robert'); DROP TABLE signature;--",
    "<b>Әмина</b>",
    "{{7*7}}",
    "Әмина\r\nBcc: all@example.org",
    "Әмина\u202eавонапсО",
    "Әм\u200bина",
    "Ә" + "\u0336" * 30,
    "＝Әмина",
    "=1+1",
    "@amina",
    "-Әмина",
    "+Әмина",
    "https://evil.example",
    "evil.example/login",
    "Әмина 🇰🇿",
    "۱۲۳",
    "Әмина 2",
    "김민수",
    "\u3164\u3164",
    "null\x00",
    "А" * 121,
    "---",
    "   ",
]


def test_hostile_names_are_refused_with_a_reason_and_nothing_is_stored(world: World) -> None:
    browser = world.stranger()
    url, fields = browser.get("/kk/sign/").fields("sign-form")
    before = dump(world.app)
    for name in HOSTILE_NAMES:
        response = post(browser, url, {**sign_fields(fields), "full_name": name})
        assert response.status_code == 422, name
        html = response.get_data(as_text=True)
        assert JustHTML(html, sanitize=False).query("#full_name-error"), name
        assert name == html or f"<b>{'Әмина'}</b>" not in html
    assert dump(world.app) == before


HOSTILE_TEXTS = [
    "Союз\u200bнаблюдателей",
    "Союз\u2066наблюдателей\u2069",
    "Союз\u00adнаблюдателей",
    "Союз\x00наблюдателей",
    "Союз\nнаблюдателей",
    "Союз \ufeff",
    "=Союз",
    "@союз",
    "-Союз",
    "﹢Союз",
    "Союз https://evil.example",
    "союз.kz/вход",
    "Союз 👩\u200d👧",
    "Союз\ue000",
    "Со" + "\u0301" * 20,
    "Союз" * 51,
]


@pytest.mark.parametrize(
    ("kind", "field"), [("independent", "organisation"), ("international", "mission"), ("party", "party_other")]
)
def test_hostile_affiliations_are_refused_beside_their_field(world: World, kind: str, field: str) -> None:
    browser = world.stranger()
    url, fields = browser.get("/kk/sign/").fields("sign-form")
    before = dump(world.app)
    for text in HOSTILE_TEXTS:
        response = post(browser, url, {**sign_fields(fields), "kind": kind, "party": "other", field: text})
        assert response.status_code == 422, text
        assert JustHTML(response.get_data(as_text=True), sanitize=False).query(f"#{field}-error"), text
    assert dump(world.app) == before


FAIR_NAMES = ["Ән", "O'Connor", "Jean-Luc d’Été", "Müller Weiß", "İlqar Əliyev", "Нұрғиса Ө.", "Zoë", "Ñandú Šťastný"]


def test_unusual_but_honest_names_are_taken_as_they_are(world: World) -> None:
    browser = world.stranger()
    for place, name in enumerate(FAIR_NAMES):
        url, fields = browser.get("/en/sign/").fields("sign-form")
        response = post(browser, url, {**sign_fields(fields), "full_name": name, "email": f"fair{place}@example.org"})
        assert response.status_code == 303, name
    stored = {row["full_name"] for row in dump(world.app)["signature"]}
    assert set(FAIR_NAMES) <= stored


BAD_ADDRESSES = [
    "amina@example.org\r\nBcc: all@example.org",
    "amina@example.org\nTo: all@example.org",
    "a@b@c.org",
    '"quoted local"@example.org',
    "amina@[127.0.0.1]",
    "amina@localhost",
    "амина@example.org",
    "=cmd@example.org",
    "amina@example.org,dana@example.org",
    "Amina <amina@example.org>",
    "amina@example",
    "a" * 65 + "@example.org",
    "amina@" + "a." * 130 + "org",
    "amina@-example.org",
    "amina\x00@example.org",
    "amina@exa\u200bmple.org",
]


def test_no_address_that_could_carry_more_than_one_mail_is_taken(world: World) -> None:
    browser = world.stranger()
    url, fields = browser.get("/en/sign/").fields("sign-form")
    before = dump(world.app)
    for address in BAD_ADDRESSES:
        response = post(browser, url, {**sign_fields(fields), "email": address})
        assert response.status_code == 422, address
        assert JustHTML(response.get_data(as_text=True), sanitize=False).query("#email-error"), address
    assert dump(world.app) == before


def test_a_password_of_any_bytes_is_only_wrong(world: World) -> None:
    world.halfway()
    for kind in ("not UTF-8", "nul", "long", "surrogate", "zalgo"):
        browser = world.stranger()
        url, fields = browser.get("/staff/sign-in").fields()
        answer = post(browser, url, {**fields, "email": "dana@example.org", "password": ALL[kind]})
        assert answer.status_code in {422, 429}, kind
    assert PASSWORD not in ALL.values()
