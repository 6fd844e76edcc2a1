"""Whatever is kept for a time: the time is a setting, and the privacy page says it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from justhtml import JustHTML

from charter.domain.retention import RULES
from charter.settings import SettingsError
from tests.conftest import MakeApp, make_settings

ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
#: Rules of what is about nobody: digests of proofs of work, and how many mails left in an hour.
ABOUT_NOBODY = {"challenges", "mail-hours"}
#: Other periods that the page tells of, with the sentence they belong to.
BESIDES = {"confirm_link_days", "backup_keep_days"}


def test_every_term_of_something_about_people_is_a_setting() -> None:
    assert {rule.name for rule in RULES if rule.setting is None} == ABOUT_NOBODY


@ONE_ENGINE
@pytest.mark.parametrize("lang", ["kk", "ru", "en"])
def test_the_privacy_page_says_every_period_as_it_is_set(make_app: MakeApp, lang: str) -> None:
    names = sorted({rule.setting for rule in RULES if rule.setting} | BESIDES)
    # Numbers that stand nowhere else on the page.
    numbers = {name: 41 + place for place, name in enumerate(names)} | {"confirm_link_days": 29}
    given = {name: str(number) for name, number in numbers.items()}
    app = make_app(mail_stop_days="30", **given)
    text = JustHTML(app.test_client().get(f"/{lang}/privacy/").text, sanitize=False).to_text()
    told = {int(number) for number in re.findall(r"\d+", text)}
    assert {name for name in names if numbers[name] not in told} == set()
    # And after a withdrawal, which is a promise and no setting.
    assert {"kk": "үш күн", "ru": "трёх дней", "en": "three days"}[lang] in text


def test_a_wish_for_no_mail_is_kept_at_least_as_long_as_it_holds(tmp_path: Path) -> None:
    given = {"mail_stop_days": "101", "mailbox_keep_days": "100"}
    with pytest.raises(SettingsError, match="mailbox_keep_days must not be less than mail_stop_days"):
        make_settings(tmp_path, **given)
    assert make_settings(tmp_path, **given | {"mail_stop_days": "100"}).mailbox_keep_days == 100
