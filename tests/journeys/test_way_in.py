"""The way in to the Centre, in a real browser: two factors every time, recovery codes for who lost the telephone."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
import zxingcpp

from tests.journeys.conftest import TRANSLATED, Centre, Visit
from tests.journeys.visitors import SUBMIT, Visitor

pytestmark = pytest.mark.journey


def sign_out(visitor: Visitor) -> None:
    """By the button below every page of the desk."""
    visitor.press("footer form button")
    assert visitor.path == "/staff/sign-in"
    visitor.open("/staff/")
    assert visitor.path.startswith("/staff/sign-in")


@TRANSLATED
def test_signing_in_takes_the_app_or_a_recovery_code_that_works_once(
    centre: Centre, visit: Visit, lang: str, script: bool
) -> None:
    member = centre.members[lang]
    visitor = visit(lang=lang, script=script)
    visitor.open("/staff/mail/")
    assert visitor.path.startswith("/staff/sign-in")
    member.give_password(visitor)
    visitor.open("/staff/")
    assert visitor.path.startswith("/staff/sign-in"), "a password alone opens nothing"
    member.give_password(visitor)
    member.give_code(visitor)
    assert visitor.path == "/staff/", visitor.main
    assert member.name in visitor.page.locator("footer").inner_text()
    sign_out(visitor)

    code = member.codes[0]
    for attempt in ("works", "is used up"):
        member.give_password(visitor)
        visitor.press("main a[href$='/staff/recovery-code']")
        visitor.page.locator("#recovery-form [name=code]").fill(code.upper().replace("-", " "))
        visitor.press(f"#recovery-form {SUBMIT}")
        if attempt == "works":
            assert visitor.path == "/staff/", visitor.main
            sign_out(visitor)
    assert visitor.path == "/staff/recovery-code"
    assert visitor.page.locator(".error-summary a").count() == 1


#: What a camera sees: the picture on the page, one byte a pixel.
GREY = """async () => {
  const image = document.querySelector("main img"), side = 360;
  await image.decode();
  const canvas = new OffscreenCanvas(side, side), ink = canvas.getContext("2d");
  ink.drawImage(image, 0, 0, side, side);
  return [side, Array.from(ink.getImageData(0, 0, side, side).data).filter((_, place) => place % 4 == 0)];
}"""


def test_a_telephone_reads_the_key_from_the_picture(centre: Centre, visit: Visit) -> None:
    member = centre.members["en"]
    visitor = visit(lang="en")
    visitor.open("/staff/")
    member.give_password(visitor)
    member.give_code(visitor)
    visitor.open("/staff/account")
    visitor.press("main a[href$='/staff/second-factor/set-up']")
    visitor.press(f"#set-up-form {SUBMIT}")
    shown = visitor.page.locator("code[translate=no]").inner_text().replace("-", "").replace(" ", "")
    side, grey = visitor.page.evaluate(GREY)
    (found,) = zxingcpp.read_barcodes(memoryview(bytes(grey)).cast("B", (side, side)))
    address = urlsplit(found.text)
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert parse_qs(address.query)["secret"] == [shown]
    # It was only looked at: the app of before goes on.
    sign_out(visitor)
    member.give_password(visitor)
    member.give_code(visitor)
    assert visitor.path == "/staff/", visitor.main


def test_the_first_link_and_a_used_invitation_are_closed_for_good(centre: Centre, visit: Visit) -> None:
    visitor = visit(lang="ru")
    assert visitor.open(centre.first_link).status == 404
    assert visitor.open("/staff/invitation/" + "A" * 43).status == 404
