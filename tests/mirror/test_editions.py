"""A log with two editions and somebody who affirmed the later one: others can check it."""

from __future__ import annotations

from pathlib import Path

from tests.house.world import World
from tests.mirror.reading import mirror
from tests.mirror.test_log import check, proved
from tests.operations.test_editions import published_edition
from tests.operations.test_signing import leaves
from tests.people import Desk
from tests.web.test_log import secure


def test_the_verifier_knows_several_editions_and_entries_that_changed_theirs(world: World, folder: Path) -> None:
    world.colleague()
    dana = Desk(world.app, "Dana", "dana.editor@example.org", role="editor")
    # A draft of this name is there already.
    published_edition(world.desk, dana, slug="charter-2028")
    browser = world.people["amina"].browser
    page = browser.get("/ru/my/affirm/").submit("affirm-form")
    assert "/my/affirm/" not in page.text, page.main
    size = secure(world.app)
    found = leaves(world.app)
    assert [leaf["charter"] for leaf in found if leaf["kind"] == "charter"] == ["specimen-1", "charter-2028"]
    assert found[-1]["kind"] == "correct"
    mirror(world.app, folder)
    assert (folder / "charter" / "charter-2028" / "ru.txt").exists()
    assert check(folder) == size
    assert proved(folder)
