"""Assembles the application; the only place that knows every room."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from flask import Flask
from flask.templating import Environment
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix
from whitenoise import WhiteNoise

from charter import cli, i18n, logs, migrating, settings
from charter.models.base import REPLICA, configure, db
from charter.web import (
    api,
    centre,
    dev_mail,
    embedding,
    entered,
    errors,
    figures,
    headers,
    hot,
    labels,
    links,
    log,
    mirrored,
    my,
    not_me,
    numbers,
    outermost,
    public,
    registry,
    signing,
    sitemap,
    system,
    takeaway,
    verify,
)
from charter.web.staff import auth, rooms, stopped

PACKAGE = Path(__file__).parent
csrf = CSRFProtect()

#: Longest body for a field that is not a file, and most fields of a form: no page of ours comes near.
MOST_FORM_FIELDS = 100


class _Templates(Environment):
    def make_globals(self, d: Any) -> Any:
        """The names that every template knows, as they are: Jinja's chain of them is copied for each page, slowly."""
        return super().make_globals(d) if d else self.globals


class _Application(Flask):
    jinja_environment = _Templates

    def log_exception(self, *_args: object, **_kwargs: object) -> None:
        """Silent: Flask would write the path, which holds tokens; `web/errors.py` writes what is needed."""


def create_app(config: settings.Settings | None = None) -> Flask:
    """The application, assembled.

    config: from `settings.load()` unless given. Raises SettingsError with every problem at once.
    """
    config = config or settings.load()
    app = _Application("charter", static_folder=None, template_folder=str(_templates()), root_path=str(PACKAGE))
    app.config.from_mapping(_flask_config(config))
    logs.configure(config)
    db.init_app(app)
    with app.app_context():
        for engine in db.engines.values():
            configure(engine, busy_timeout_ms=config.database_busy_timeout_ms)
    migrating.init_app(app)
    i18n.init_app(app)
    csrf.init_app(app)
    build = _build_digest()
    shown = _public_settings(config)
    # Pages show some settings, so their entity tags change with these as with the build.
    app.config["PAGES_DIGEST"] = hashlib.sha256(f"{build} {sorted(shown.items())}".encode()).hexdigest()[:12]
    app.jinja_env.globals.update(
        static_url=lambda name: f"/static/{build}/{name}", settings=shown, **labels.jinja_globals()
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    centre.init_app(app)
    headers.init_app(app)
    errors.init_app(app)
    for room in (
        system,
        public,
        registry,
        numbers,
        figures,
        verify,
        takeaway,
        embedding,
        sitemap,
        log,
        signing,
        my,
        links,
        not_me,
        entered,
        api,
        dev_mail,
        rooms,
        mirrored,
    ):
        room.init_app(app)
    # Their forms carry their own token, so that an expired one costs no typed word.
    for blueprint in (signing.blueprint, my.blueprint, links.blueprint, not_me.blueprint, entered.blueprint):
        csrf.exempt(blueprint)
    for view in rooms.OWN_TOKEN:
        csrf.exempt(view)
    auth.init_app(app, config)
    stopped.init_app(app)
    cli.init_app(app)
    app.wsgi_app = WhiteNoise(  # type: ignore[method-assign]
        app.wsgi_app,
        root=str(PACKAGE / "static"),
        prefix=f"static/{build}/",
        max_age=365 * 24 * 3600,
        immutable_file_test=lambda _path, _url: True,
        allow_all_origins=False,
    )
    if config.trusted_proxy_count:
        hops = config.trusted_proxy_count
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    app.wsgi_app = outermost.Outermost(  # type: ignore[method-assign]
        app.wsgi_app, hot=hot.Hot(app), common=headers.common(config)
    )
    return app


def _flask_config(config: settings.Settings) -> dict[str, object]:
    return {
        "CHARTER": config,
        "SECRET_KEY": config.secret_key,
        "SQLALCHEMY_DATABASE_URI": _driver_url(config.database_url),
        "SQLALCHEMY_ENGINE_OPTIONS": _engine_options(config),
        "SQLALCHEMY_BINDS": _binds(config),
        "SESSION_COOKIE_NAME": headers.cookie_name("charter", config),
        "SESSION_COOKIE_SECURE": config.secure_cookies,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_REFRESH_EACH_REQUEST": False,
        "MAX_CONTENT_LENGTH": config.max_body_bytes,
        "MAX_FORM_MEMORY_SIZE": config.max_body_bytes,
        "MAX_FORM_PARTS": MOST_FORM_FIELDS,
        "TRUSTED_HOSTS": list(config.trusted_hosts),
        "PREFERRED_URL_SCHEME": "https" if config.secure_cookies else "http",
        "WTF_CSRF_TIME_LIMIT": 12 * 3600,
        # Our Referrer-Policy sends no referrer, and a `__Host-` cookie cannot be planted by a neighbouring host.
        "WTF_CSRF_SSL_STRICT": False,
        # Every refusal that a page can show has words of ours; WTForms' would be read from its files for each form, and
        # know no Kazakh.
        "WTF_I18N_ENABLED": False,
        "BABEL_TRANSLATION_DIRECTORIES": str(PACKAGE / "translations"),
        "JSON_SORT_KEYS": False,
    }


def _driver_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def _engine_options(config: settings.Settings) -> dict[str, Any]:
    options: dict[str, Any] = {
        # An error that quoted the values of its statement would write names and addresses into the log.
        "hide_parameters": True,
        "pool_size": config.web_threads,
        "pool_timeout": 3,
    }
    if config.database_url.startswith("sqlite"):
        # Each statement that SQLite keeps ready takes room in every thread's connection, and a process uses dozens.
        return {**options, "connect_args": {"check_same_thread": False, "cached_statements": 32}}
    # What was sent and is not even acknowledged (in milliseconds) went to a machine that is gone.
    connect_args: dict[str, object] = {"connect_timeout": 3, "tcp_user_timeout": 5000}
    if config.database_pooler == "transaction":
        # The next transaction may run on another server connection, which knows nothing of what this one prepared.
        connect_args["prepare_threshold"] = None
    # Behind a pooler too: a connection to PgBouncer that waits here costs the server nothing, a new one each time does.
    return {**options, "connect_args": connect_args}


def _binds(config: settings.Settings) -> dict[str | None, dict[str, Any]]:
    if not config.database_replica_url:
        return {}
    options = _engine_options(config)
    # The primary answers instead, so a replica whose machine is gone is given up soon (units of the driver).
    impatience = {"connect_timeout": 2, "tcp_user_timeout": 2000}
    options["connect_args"] = options["connect_args"] | impatience
    return {REPLICA: {"url": _driver_url(config.database_replica_url), **options}}


def _templates() -> Path:
    """Inside the package when installed from a wheel, beside it in a checkout."""
    inside = PACKAGE / "templates"
    return inside if inside.is_dir() else PACKAGE.parent / "templates"


def _build_digest() -> str:
    """Changes with whatever a page is made of, so that addresses of files and entity tags can be kept for ever."""
    digest = hashlib.sha256()
    for folder in (PACKAGE, _templates()):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix not in {".pyc", ".po", ".pot"}:
                digest.update(path.relative_to(folder).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _public_settings(config: settings.Settings) -> dict[str, object]:
    """The few settings that pages may show."""
    names = (
        "centre_name",
        "centre_address",
        "centre_bin",
        "centre_contact",
        "answer_due_working_days",
        "confirm_link_days",
        "people_per_mailbox",
        "undo_seconds",
        "code_tries",
        "code_minutes",
        "personal_cookie_hours",
        "signing_browser_days",
        "mail_stop_days",
        "reminder_hours",
        "unconfirmed_keep_days",
        "declined_keep_days",
        "trace_keep_days",
        "mailbox_keep_days",
        "address_change_keep_days",
        "words_keep_days",
        "backup_keep_days",
        "open_data_licence",
        "public_url",
    )
    return {name: getattr(config, name) for name in names}
