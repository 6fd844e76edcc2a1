"""A restore beside the signer's guard: with every leaf back publication goes on, with an old copy it stops."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from flask import Flask
from time_machine import Traveller as Clock

from charter import guard, leaves_file
from charter.settings import Settings
from tests.backup.conftest import NewMachine, back_up, restore
from tests.people import work
from tests.test_guard import SAID, assert_goes_on, assert_stopped, assert_whole, config, leaf_count
from tests.test_log_key import held, key_leaves, say, signers

OpenMachine = Callable[[Settings], Flask]


@pytest.fixture(autouse=True)
def nothing_said_yet() -> None:
    SAID.clear()
    leaves_file._said.clear()


def lost(app: Flask, new_machine: NewMachine, *, with_leaves: bool) -> tuple[Settings, int]:
    """What was published after the backup is guarded; an empty machine with the same folder of the log."""
    assert_goes_on(app)
    backup = back_up(app, backup_recipients=())
    assert_goes_on(app)
    assert_goes_on(app)
    settings = new_machine(config(app), with_leaves=with_leaves)
    shutil.copy(guard.path_of(config(app)), settings.log_path)
    restore(backup, settings)
    return settings, leaf_count(app)


def test_a_restore_that_brought_all_leaves_back_goes_on(
    app: Flask, clock: Clock, new_machine: NewMachine, open_machine: OpenMachine
) -> None:
    settings, count = lost(app, new_machine, with_leaves=True)
    found = open_machine(settings)
    work(found)
    assert leaf_count(found) >= count
    assert_whole(found)
    assert_goes_on(found)


def test_a_restore_without_the_later_leaves_publishes_nothing(
    app: Flask, clock: Clock, new_machine: NewMachine, open_machine: OpenMachine
) -> None:
    settings, _ = lost(app, new_machine, with_leaves=False)
    assert_stopped(open_machine(settings), "older than its guard", code="guard_ahead")


def test_a_key_that_waited_for_its_leaf_in_the_backup_is_added_once(
    app: Flask, clock: Clock, new_machine: NewMachine, open_machine: OpenMachine
) -> None:
    say(app, "rotate")
    backup = back_up(app, backup_recipients=())
    work(app)
    assert_goes_on(app)
    before = key_leaves(app)
    assert [vkey for _, _, vkey in before] == held(app)
    settings = new_machine(config(app))
    shutil.copy(guard.path_of(config(app)), settings.log_path)
    restore(backup, settings)
    found = open_machine(settings)
    assert_goes_on(found)
    assert key_leaves(found) == before
    assert signers(found) == [held(app)[1], held(app)[0]]
