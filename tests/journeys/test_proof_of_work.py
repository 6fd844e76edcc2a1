"""While very many sign: the browser works and sends by itself, and whoever has no script comes through all the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.journeys.conftest import LANGUAGES, Visit, open_centre
from tests.journeys.test_every_page import look
from tests.journeys.visitors import SUBMIT, Person, Visitor

pytestmark = pytest.mark.journey


def send(visitor: Visitor, lang: str) -> None:
    """Fills in the form and presses its button, once."""
    visitor.open(f"/{lang}/sign/")
    visitor.fill(Person(lang=lang))
    visitor.page.locator(f"#sign-form {SUBMIT}").click()


def test_a_browser_works_for_a_moment_and_sends_the_form_by_itself(visit: Visit, tmp_path: Path) -> None:
    settings = {"proof_of_work_from": "1", "proof_of_work_tries": "150", "mail_transport": "files"}
    with open_centre(tmp_path / "instance", **settings) as other:
        found: list[str] = []
        visitor = visit(at=other, lang="ru")
        send(visitor, "ru")
        visitor.page.wait_for_url("**/ru/sign/check-mail/")  # the first of all is not asked
        for lang in LANGUAGES:
            visitor = visit(at=other, lang=lang)
            send(visitor, lang)
            visitor.page.wait_for_url(f"**/{lang}/sign/check-mail/")
        # Where no worker may be started the page itself does it.
        visitor = visit(at=other, lang="en")
        visitor.page.add_init_script("delete window.Worker")
        send(visitor, "en")
        visitor.page.wait_for_url("**/en/sign/check-mail/")
        # A browser that cannot calculate, one without script, and what both of them read.
        for lang, script in zip(LANGUAGES, (True, False, True), strict=True):
            visitor = visit(at=other, lang=lang, script=script)
            if script:
                visitor.page.add_init_script("Object.defineProperty(crypto, 'subtle', {value: undefined})")
                visitor.page.add_init_script("delete window.Worker")
            visitor.open(f"/{lang}/sign/")
            visitor.fill(Person(lang=lang))
            visitor.press(f"#sign-form {SUBMIT}")
            notice = visitor.page.locator("[data-proof] > div:visible")
            visitor.page.locator("[data-proof] > div").first.wait_for()
            assert notice.count() == 1
            if script:
                found += look(visitor, f"asked-{lang}")
            visitor.press(f"#sign-form {SUBMIT}")
            assert visitor.path == f"/{lang}/sign/check-mail/"
        assert not found, "\n".join(found)
        with closing(sqlite3.connect(f"file:{other.database}?mode=ro", uri=True)) as connection:
            rows = connection.execute(
                "SELECT proof, held_because FROM signature JOIN signing_trace ON signature_id = id ORDER BY id"
            ).fetchall()
        assert rows == [(None, None), *[("solved", None)] * 4, *[("missing", "proof")] * 3]
