"""For machines: is the process alive, and can it do its work."""

from __future__ import annotations

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint, Flask, Response, current_app, jsonify
from sqlalchemy.exc import SQLAlchemyError

from charter.queries import registry, schema

blueprint = Blueprint("system", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process answers; asks nothing of anything else."""
    return Response("ok\n", content_type="text/plain; charset=utf-8")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Whether requests can be served, and if not, what is wrong: 200 or 503 with one word for each part."""
    parts = {"database": "ok", "schema": "ok", "registry": "ok"}
    try:
        with schema.connection() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
        wanted = ScriptDirectory(current_app.extensions["migrate"].directory).get_current_head()
        if found != wanted:
            parts["schema"] = "not migrated"
        elif registry.find_as_of() is None:
            parts["registry"] = "nothing published yet"
    except SQLAlchemyError:
        parts = {"database": "unreachable"}
    is_ready = parts.get("database") == "ok" and parts.get("schema") == "ok"
    return jsonify(parts), 200 if is_ready else 503


def init_app(app: Flask) -> None:
    """Registers the room."""
    app.register_blueprint(blueprint)
