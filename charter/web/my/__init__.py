"""*My signature*: the door of whoever holds the personal link."""

from flask import Flask

from charter import clock
from charter.web.my import (
    acting,
    address,
    affirming,
    certificate,
    data,
    door,
    editing,
    entry,
    leaving,
    link,
    objecting,
    papers,
    provenance,
    waiting,
)
from charter.web.my.door import blueprint

__all__ = [
    "acting",
    "address",
    "affirming",
    "blueprint",
    "certificate",
    "data",
    "door",
    "editing",
    "entry",
    "init_app",
    "leaving",
    "link",
    "objecting",
    "papers",
    "provenance",
    "waiting",
]


def init_app(app: Flask) -> None:
    """Registers the room; without a header of their own its pages are kept by nobody."""
    app.register_blueprint(blueprint)
    app.jinja_env.globals["now"] = clock.now
