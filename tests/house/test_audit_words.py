"""The audit's words and what it must never hold: every code has words, no line names a signatory."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

import charter
from charter.web.staff import trail_words
from tests.house.test_gates import ACTS
from tests.house.world import World, dump

ROOT = Path(charter.__file__).parent
#: What writes a line; the act is a word among its first two arguments.
WRITERS = {"add_audit", "_add_audit", "_audit", "note_read"}


def _codes(node: ast.expr) -> list[str]:
    """Literals, and of an f-string its literal beginning with a star."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        return _codes(node.body) + _codes(node.orelse)
    if isinstance(node, ast.JoinedStr):
        first = node.values[0]
        return [f"{first.value}*"] if isinstance(first, ast.Constant) else []
    return []


def written() -> dict[str, set[str]]:
    """Code of an act, or subject, → where it is written."""
    found: dict[str, set[str]] = {"acts": set(), "subjects": set()}
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name not in WRITERS:
                continue
            for code in [one for some in node.args[:2] for one in _codes(some)]:
                found["acts"].add(f"read-{code}" if name == "note_read" else code)
            for more in node.keywords:
                if more.arg == "subject":
                    found["subjects"] |= set(_codes(more.value))
    return found


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("engine_name")
def test_every_act_and_subject_that_the_code_writes_has_words() -> None:
    found = written()
    assert len(found["acts"]) > 30
    silent = set()
    for code in found["acts"]:
        if code.endswith("*"):
            if not any(one.startswith(code[:-1]) for one in trail_words.ACTIONS):
                silent.add(code)
        elif code not in trail_words.ACTIONS:
            silent.add(code)
    assert not silent
    assert found["subjects"] <= set(trail_words.SUBJECTS)
    assert {act.writes for act in ACTS.values() if act.writes} <= set(trail_words.ACTIONS)


def test_the_audit_of_a_world_names_no_signatory_and_has_words_for_everything(world: World) -> None:
    for path in ("/staff/", f"/staff/review/{world.signature_id('waiting')}/", "/staff/letters/", "/staff/mail/"):
        world.colleague().get(path)
    found = dump(world.app)
    lines = found["audit"]
    assert {line["action"] for line in lines} <= set(trail_words.ACTIONS)
    assert {line["subject"] for line in lines} <= set(trail_words.SUBJECTS)
    keys = {key for line in lines for part in ("detail", "before", "after") for key in (line[part] or {}) if line[part]}
    assert keys <= set(trail_words.FIELDS)
    personal = set()
    for row in found["signature"]:
        personal |= {row["full_name"], row["short_name"], row["email"], row["affiliation_text"] or ""}
        personal |= {word for word in re.split(r"\W+", row["full_name"]) if len(word) > 3}
    personal |= {row["name"] for row in found["notable_name"]}
    personal.discard("")
    assert len(personal) > 10
    for line in lines:
        words = json.dumps([line["detail"], line["reason"], line["before"], line["after"]], ensure_ascii=False)
        assert not [one for one in personal if one in words], line["action"]
