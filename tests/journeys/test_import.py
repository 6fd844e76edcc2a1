"""A list of people in a real browser: brought, its columns chosen, tried, mended, started; and somebody on it signs."""

from __future__ import annotations

import pytest

from tests.journeys import lists
from tests.journeys.conftest import Centre, Visit
from tests.journeys.visitors import DESKTOP, SUBMIT, fresh_word
from tests.people import code_in, link_in, text_of

pytestmark = pytest.mark.journey

TICKS = ("is_adult", "consent_processing", "consent_publication")


@pytest.mark.parametrize(("staff", "script"), [("ru", False), ("kk", True)], ids=["without script", "with script"])
def test_from_a_sheet_of_paper_to_the_queue(centre: Centre, visit: Visit, staff: str, script: bool) -> None:
    surname, mailbox = fresh_word(), f"sheet-{staff}@example.org"
    rows = [
        "Фамилия;Имя;Отчество;Эл. почта;Регион;Вид",
        f"{surname};Сауле;Ибраевна;{mailbox};г. Астана;независимый",
        f"{surname};Сауле;Ибраевна;{mailbox.upper()};г. Астана;независимый",
        "Ли;Виктор 5;;no address;Луна;независимый",
    ]
    reviewer = visit(staff=staff, script=script, size=DESKTOP)
    lists.bring(reviewer, "\r\n".join(rows).encode("cp1251"), source="Обучение в Таразе, 12 ноября")
    assert surname in reviewer.main
    assert reviewer.page.locator("#column-3").input_value() == "email"
    lists.choose(reviewer)
    assert "3" in reviewer.main
    with reviewer.page.expect_download() as fetched:
        reviewer.page.locator("a[download]").click()
    words = fetched.value.path().read_text("utf-8-sig")
    assert len(words.splitlines()) == 3
    assert "Луна" in words
    lists.start(reviewer)
    assert not reviewer.page.locator("#start-form").count()

    mail = centre.postbox.wait(mailbox, "/confirm/")
    assert "Обучение в Таразе" in text_of(mail)
    person = visit(lang="ru", script=script)
    person.open(link_in(mail, "/confirm/"))
    assert person.path.startswith("/ru/entered/")
    assert person.page.locator("[name=full_name]").input_value() == f"{surname} Сауле Ибраевна"
    person.press(f"#entered-form {SUBMIT}")
    assert person.page.locator(".error-summary").count() == 1
    person.page.locator("[name=full_name]").fill(f"{surname} Сәуле Ибрайқызы")
    for box in TICKS:
        person.page.locator(f"[name={box}]").check()
    person.page.locator("[name=code]").fill(code_in(mail))
    person.press(f"#entered-form {SUBMIT}")
    assert person.path.startswith("/ru/my/"), person.main
    assert "Обучение в Таразе" in person.main
    assert len(centre.postbox.to(mailbox.upper())) == 0
    reviewer.open("/staff/")
    reviewer.press(reviewer.page.locator("main a", has_text=f"{surname} Сәуле"))
    assert "Обучение в Таразе" in reviewer.main
