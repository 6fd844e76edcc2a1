"""Templates: every one compiles, every one is used, and none can be made to run what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from jinja2 import meta

from charter.web.labels import MAIL_KINDS
from charter.web.staff import auth

#: Nothing here asks the database.
pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "templates"


def names() -> set[str]:
    found = {path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*") if path.is_file()}
    assert len(found) > 50
    return found


def source(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def test_every_template_compiles(app: Flask) -> None:
    for name in names():
        app.jinja_env.get_template(name)


def test_every_template_is_used(app: Flask) -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "charter").rglob("*.py"))
    used = {name for name in names() if f'"{name}"' in code}
    # Flask-Security's views name theirs by a setting; a mail's are named after its kind.
    used |= {f"staff/auth/{ours}.html" for ours, _ in auth._TEMPLATES.values()}
    used |= {name for name in names() if name.startswith("mail/") and name.endswith(("/subject.txt", "/body.txt"))}
    waiting, seen = set(used), set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        found = meta.find_referenced_templates(app.jinja_env.parse(source(name)))
        waiting |= {one for one in found if one is not None} - seen
    assert seen <= names(), f"these do not exist: {seen - names()}"
    assert names() - seen == set(), "nothing uses these"


def test_every_kind_of_mail_has_a_subject_and_a_body_and_a_name(app: Flask) -> None:
    folders = {
        path.name: {file.name for file in path.iterdir()} for path in (TEMPLATES / "mail").iterdir() if path.is_dir()
    }
    assert all(files == {"subject.txt", "body.txt"} for files in folders.values()), folders
    assert set(folders) | {"signing"} == set(MAIL_KINDS)


def test_every_imported_macro_exists_and_is_called(app: Flask) -> None:
    idle = []
    for name in names():
        text = source(name)
        for origin, wanted in re.findall(r'\{%-? *from "([^"]+)" import ([^%]+?)(?: with context)? *-?%\}', text):
            defined = set(re.findall(r"\{%-? *macro (\w+)", source(origin)))
            for one in wanted.split(","):
                macro, _, alias = one.strip().partition(" as ")
                assert macro in defined, (name, origin, macro)
                if not re.search(rf"\b{alias or macro}\b", text.replace(wanted, "", 1)):
                    idle.append((name, macro))
    assert idle == []


def test_every_macro_is_called_somewhere(app: Flask) -> None:
    everything = {name: source(name) for name in names()}
    for name, text in everything.items():
        for macro in re.findall(r"\{%-? *macro (\w+)", text):
            uses = sum(len(re.findall(rf"\b{macro}\b", other)) for other in everything.values())
            assert uses > 1, (name, macro)


def test_no_template_turns_escaping_off_or_holds_code_or_style(app: Flask) -> None:
    for name in names():
        text = source(name)
        assert not re.search(r"\|\s*safe\b|autoescape|Markup", text), name
        if name.endswith(".html") and not name.startswith("mail/"):
            assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:", text, re.IGNORECASE), name
            assert not re.search(r"<script(?![^>]*\bsrc=)", text), name
            assert not re.search(r'(?:src|href|action)="(?:https?:)?//', text), name
        assert "{{ request.args" not in text, name


def test_html_is_escaped_and_text_is_not(app: Flask) -> None:
    assert app.select_jinja_autoescape("public/home.html")
    assert not app.select_jinja_autoescape("mail/code/body.txt")


def test_every_static_file_that_a_template_names_exists_and_none_is_idle(app: Flask) -> None:
    static = ROOT / "charter" / "static"
    named = set()
    for name in names():
        named |= set(re.findall(r'static_url\("([^"]+)"\)', source(name)))
    for one in named:
        assert (static / one).is_file(), one
    styles = (static / "site.css").read_text(encoding="utf-8")
    named |= {Path(url).as_posix().removeprefix("./") for url in re.findall(r"url\([\"']?([^)\"']+)", styles)}
    mine = {path.relative_to(static).as_posix() for path in static.iterdir() if path.is_file()}
    assert mine - named <= {"mark.svg", "robots.txt"}, mine - named
