"""The least that Flask can answer: what the server and the client cost before the service does anything."""

from __future__ import annotations

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    """Two words."""
    return "hello, world"
