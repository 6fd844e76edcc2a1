"""PostgreSQL as docs/deploy.md sets it up: its settings, the service's role, and what a promotion does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from charter import cli, create_app
from charter.models.base import db
from tests.conftest import make_settings
from tests.deploy.files import DEPLOY
from tests.pages import Browser
from tests.people import Observer, work
from tests.postgres import NoPostgres, _cluster, fresh_database
from tests.scaled import Replica, ask, missing, newest_programs, replica, standby, until

__all__ = ["replica"]

FOLDER = DEPLOY / "postgresql"

pytestmark = pytest.mark.xdist_group("scaled")


@pytest.fixture
def server() -> Iterator[str]:
    """A server on which nobody is called charter yet: the URL of its superuser."""
    try:
        with _cluster(newest_programs()) as url:
            ask(url, "CREATE ROLE postgres SUPERUSER LOGIN")
            administrator = make_url(url).set(username="postgres").render_as_string()
            ask(administrator, "ALTER ROLE charter RENAME TO builder")
            yield administrator
    except NoPostgres as error:
        missing(str(error))


def test_the_role_that_the_script_makes_can_migrate_and_serve_and_is_no_superuser(server: str, tmp_path: Path) -> None:
    environ = {
        "PATH": f"{newest_programs()}:{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(make_url(server).port),
        "DATABASE_PASSWORD": "it's 'quoted'",
    }
    done = subprocess.run(["sh", FOLDER / "roles.sh"], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    url = make_url(server).set(username="charter", database="charter").render_as_string()
    app = create_app(make_settings(tmp_path, database_url=url))
    cli.prepare(app)
    work(app)
    assert Browser(app).get("/ru/registry/").status == 200
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    assert ask(url, "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = 'charter'") is False
    assert ask(server, "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'charter'")
    assert ask(server, "SELECT datcollate FROM pg_database WHERE datname = 'charter'") == "C.UTF-8"
    ask(server, "CREATE ROLE stranger LOGIN")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        ask(make_url(url).set(username="stranger").render_as_string(), "SELECT 1")


def test_the_settings_are_taken_and_the_replica_follows_by_its_slot(replica: Replica) -> None:
    wrong = ask(
        replica.url, "SELECT string_agg(name || ': ' || error, ', ') FROM pg_file_settings WHERE error IS NOT NULL"
    )
    assert wrong is None
    for name, value in {
        "synchronous_commit": "on",
        "wal_level": "replica",
        "max_slot_wal_keep_size": "8GB",
        "log_statement": "none",
        "log_min_error_statement": "panic",
        "idle_in_transaction_session_timeout": "1min",
    }.items():
        assert ask(replica.url, f"SELECT current_setting('{name}')") == value, name
    assert ask(replica.url, "SELECT pg_is_in_recovery()") is True
    assert ask(replica.primary, "SELECT active FROM pg_replication_slots WHERE slot_name = 'charter_replica'") is True


def test_after_a_promotion_the_service_goes_on_at_the_other_server_by_itself(tmp_path: Path) -> None:
    """Both hosts in the address, as docs/deploy.md has it; nothing that was acknowledged and replayed is lost."""
    programs = newest_programs()
    with _cluster(programs) as primary, standby(programs, primary) as other:
        url = make_url(fresh_database(primary))
        hosts = "&".join(f"host=127.0.0.1:{port}" for port in (url.port, make_url(other.url).port))
        both = f"postgresql://charter@/{url.database}?{hosts}&target_session_attrs=read-write"
        app = create_app(make_settings(tmp_path, database_url=both))
        cli.prepare(app)
        work(app)
        assert Observer(app).sign().url == "/ru/sign/check-mail/"
        other.catch_up()
        server = Replica(primary, primary, programs, Path(ask(primary, "SHOW data_directory")).parent, other.become)
        server.stop()
        try:
            assert app.test_client().get("/ru/sign/").status_code == 503
            ask(other.url, "SELECT pg_promote()")
            until(lambda: app.test_client().get("/ru/sign/").status_code == 200, "it does not find the new primary")
            assert Observer(app, email="bota@example.org", full_name="Бота Ким").sign().url == "/ru/sign/check-mail/"
            promoted = url.set(port=make_url(other.url).port).render_as_string()
            assert ask(promoted, "SELECT count(*) FROM signature") == 2
        finally:
            with app.app_context():
                db.session.remove()
                db.engine.dispose()
            server.start()  # who made it also stops it
