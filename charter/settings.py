"""Every setting: its type, unit, default and meaning, read once at start and refused by name when wrong."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import secrets
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

PREFIX = "CHARTER_"
SETTINGS_FILE = "charter.toml"
SECRET_KEY_FILE = "secret_key"  # noqa: S105 - the name of a file
SECRET_KEY_LEAST_LENGTH = 32

# Names with our prefix that belong to dev.py and the tests, not to the service.
OUTSIDE_NAMES = frozenset({"CHARTER_VENV", "CHARTER_TEST_DATABASE_URL"})

_HOST_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_PATTERN = re.compile(rf"{_HOST_LABEL}(?:\.{_HOST_LABEL})*\.?", re.IGNORECASE)
_EDITION_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# A key name of a signed note holds neither spaces nor plus signs (C2SP signed-note).
_ORIGIN_PATTERN = re.compile(r"[a-z0-9][a-z0-9.:\[\]-]*(?:/[a-z0-9._~-]+)*", re.IGNORECASE)


class SettingsError(Exception):
    """The settings cannot be used; `problems` holds one sentence for each thing to mend."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _setting(
    default: Any,
    text: str,
    *,
    least: int | None = None,
    most: int | None = None,
    choices: tuple[str, ...] = (),
    shown: str | None = None,
    secret: bool = False,
) -> Any:
    """A dataclass field that carries what the check and the README need to know about it."""
    metadata = {"help": text, "least": least, "most": most, "choices": choices, "shown": shown, "secret": secret}
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One consistent set of settings. Build it with `load`, which also fills in the defaults that depend on others."""

    environment: str = _setting(
        "embedded",
        "`embedded` needs nothing else; `production` refuses to start without a secret key, a public address and a mail"
        " server.",
        choices=("embedded", "production"),
    )
    instance_path: Path = _setting(  # noqa: RUF009 - a Path never changes
        Path("instance"),
        "Folder of this installation: `charter.toml`, database, key, mail. Only as an environment variable.",
        shown="`instance` in the project",
    )
    secret_key: str = _setting(
        "",
        "Signs cookies, links and codes; at least 32 characters. Changing it makes every link and session invalid.",
        shown="made once in `instance/secret_key`",
        secret=True,
    )
    public_url: str = _setting(
        "http://127.0.0.1:8000",
        "Address under which people reach the service, without a path. In production https, or http for this machine"
        " only.",
        shown="`http://127.0.0.1:<bind_port>`",
    )
    database_url: str = _setting(
        "",
        "`postgresql://user:password@host/name`, or `sqlite:////absolute/path.db`.",
        shown="`instance/charter.db`",
        secret=True,
    )
    mail_transport: str = _setting(
        "files",
        "`smtp` sends; `files` writes to `instance/mail`, to be read at `/dev/mail/`.",
        choices=("files", "smtp"),
        shown="`smtp` if `smtp_host` is set, else `files`",
    )
    smtp_host: str = _setting("", "Name of the mail server.")
    smtp_port: int = _setting(587, "Port of the mail server (465 is usual with `tls`).", least=1, most=65535)
    smtp_security: str = _setting(
        "starttls",
        "`starttls`, `tls` from the first byte, or `none` (with a password only to this machine).",
        choices=("starttls", "tls", "none"),
    )
    smtp_username: str = _setting("", "Name for the mail server, if it asks for one.")
    smtp_password: str = _setting("", "Password for the mail server.", secret=True)
    smtp_timeout_seconds: int = _setting(30, "Longest wait for the mail server.", least=1, most=600)
    mail_from: str = _setting(
        "charter@localhost", "Address that mail comes from.", shown="`charter@` + host of `public_url`"
    )
    mail_from_name: str = _setting("", "Name shown beside that address.")
    bind_host: str = _setting("127.0.0.1", "Address the web server listens on.")
    bind_port: int = _setting(8000, "Port the web server listens on.", least=1, most=65535)
    web_workers: int = _setting(1, "Web server processes.", least=1, most=128)
    web_threads: int = _setting(8, "Threads in each web server process.", least=1, most=256)
    trusted_proxy_count: int = _setting(
        0, "Reverse proxies in front that set X-Forwarded-For; exactly so many are believed.", least=0, most=10
    )
    trusted_hosts: tuple[str, ...] = _setting(
        (),
        "Host names that requests may carry; a leading dot means all below it. Separated by commas.",
        shown="host of `public_url` (embedded: also `127.0.0.1`, `localhost`)",
    )
    max_body_bytes: int = _setting(
        256 * 1024, "Largest request body that is read.", least=16 * 1024, most=64 * 1024 * 1024
    )
    publish_interval_seconds: int = _setting(5, "Time between two publication batches.", least=1, most=86_400)
    undo_seconds: int = _setting(10, "How long a decision can be taken back before it takes effect.", least=0, most=600)
    answer_due_working_days: int = _setting(
        5, "Working days within which the Centre answers a confirmed application.", least=1, most=60
    )
    confirm_link_days: int = _setting(7, "How long a signature may wait for its confirmation.", least=1, most=30)
    code_tries: int = _setting(5, "Wrong six-digit codes before a new one is needed.", least=1, most=10)
    code_minutes: int = _setting(30, "How long a six-digit code asked for by a signatory works.", least=5, most=1440)
    personal_cookie_hours: int = _setting(
        12, "How long an opened personal link stays open in a browser.", least=1, most=168
    )
    signing_browser_days: int = _setting(
        30, "How long the browser that signed may do without a code.", least=1, most=365
    )
    people_per_mailbox: int = _setting(
        3, "People who may sign with one address; more are set aside for the staff.", least=1, most=50
    )
    staff_idle_minutes: int = _setting(30, "A staff session ends after so long without a request.", least=5, most=480)
    staff_session_hours: int = _setting(12, "A staff session ends after so long in any case.", least=1, most=72)
    outbox_lease_seconds: int = _setting(
        300, "A message taken up by a worker that died is tried again after so long.", least=30, most=86_400
    )
    database_busy_timeout_ms: int = _setting(
        10_000, "How long a write waits for another on SQLite.", least=100, most=120_000
    )
    log_origin: str = _setting(
        "",
        "Name of the transparency log; never change it once something has been published.",
        shown="host of `public_url` + `/log`",
    )
    charter_edition: str = _setting("specimen-1", "Edition of the Charter that is open for signing.")
    centre_name: str = _setting("", "Name of the Centre, in the consent text, on pages and in mail.")
    centre_address: str = _setting("", "Postal address of the Centre.")
    centre_bin: str = _setting("", "Business identification number (BIN) of the Centre, 12 digits.")
    centre_contact: str = _setting("", "How to reach the Centre about personal data.")
    log_level: str = _setting(
        "info", "Least grave lines that are written.", choices=("debug", "info", "warning", "error")
    )

    @property
    def is_production(self) -> bool:
        return self.environment == "production"

    @property
    def secure_cookies(self) -> bool:
        """Whether browsers reach us by https, so that cookies may demand it."""
        return self.public_url.startswith("https://")

    @property
    def is_loopback(self) -> bool:
        """Whether the web server listens only to this machine."""
        return is_loopback_host(self.bind_host)

    @property
    def public_host(self) -> str:
        """Host name of the public address, without a port."""
        return urlsplit(self.public_url).hostname or ""

    @property
    def mail_path(self) -> Path:
        """Folder that receives mail when `mail_transport` is `files`."""
        return self.instance_path / "mail"


class SettingLine(NamedTuple):
    """One row of the README's table."""

    name: str
    variable: str
    type: str
    default: str
    help: str


def registry_of_settings() -> list[SettingLine]:
    """Every setting as the README shows it, in order of declaration."""
    return [
        SettingLine(one.name, variable_of(one.name), _type_shown(one), _default_shown(one), one.metadata["help"])
        for one in fields(Settings)
    ]


def variable_of(name: str) -> str:
    """`smtp_host` → `CHARTER_SMTP_HOST`."""
    return PREFIX + name.upper()


def is_loopback_host(host: str) -> bool:
    """Whether a host name or address means this machine itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def default_instance_path() -> Path:
    """`instance` beside the package in a checkout; in the working folder when installed."""
    project = Path(__file__).resolve().parent.parent
    is_checkout = (project / "pyproject.toml").is_file() and (project / "templates").is_dir()
    return (project if is_checkout else Path.cwd()) / "instance"


def own_database_url(folder: Path) -> str:
    """The SQLite database that lies in an instance folder unless another is named."""
    return URL.create("sqlite", database=str(folder / "charter.db")).render_as_string(hide_password=False)


def load(instance_path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read defaults, then `charter.toml`, then the environment; raise `SettingsError` with every problem at once.

    In the embedded environment this makes the instance folder and its secret key when they are missing.
    """
    problems: list[str] = []
    folder = instance_path or Path(environ.get(variable_of("instance_path")) or default_instance_path())
    folder = Path(os.path.abspath(folder.expanduser()))  # not resolve(): a symbolic link may be moved on purpose
    values: dict[str, Any] = {one.name: one.default for one in fields(Settings) if one.default is not MISSING}
    given = _read_file(folder / SETTINGS_FILE, problems) | _read_environment(environ, problems)
    values |= {name: value for name, (_, value) in given.items()}
    values["instance_path"] = folder
    sources = {name: source for name, (source, _) in given.items()}
    _complete(values, sources, problems)
    if problems:
        raise SettingsError(problems)
    if not values["secret_key"]:
        values["secret_key"] = _kept_secret_key(folder)
    return Settings(**values)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

# name → (how to speak of its source, value)
_Given = dict[str, tuple[str, Any]]


def _read_file(path: Path, problems: list[str]) -> _Given:
    """The file holds plain `name = value` lines, named as in `Settings`."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except NotADirectoryError:
        return {}  # said by whoever needs the folder
    except OSError as error:
        problems.append(f"{path} cannot be read: {error.strerror}.")
        return {}
    except UnicodeDecodeError:
        problems.append(f"{path} is not UTF-8 text.")
        return {}
    except tomllib.TOMLDecodeError as error:
        # The parser quotes single characters and positions only, never a whole value.
        problems.append(f"{path} is not valid TOML: {error}.")
        return {}
    declared = {one.name: one for one in fields(Settings)}
    given: _Given = {}
    for name, raw in content.items():
        source = f"{name} in {path.name}"
        if name == "instance_path":
            problems.append(f"{source}: the folder that holds this file can only be set by CHARTER_INSTANCE_PATH.")
        elif name not in declared:
            problems.append(f"{source} is not a setting{_nearest(name, declared)}.")
        else:
            _keep(given, declared[name], source, raw, problems)
    return given


def _read_environment(environ: Mapping[str, str], problems: list[str]) -> _Given:
    declared = {variable_of(one.name): one for one in fields(Settings)}
    given: _Given = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in OUTSIDE_NAMES or name == variable_of("instance_path"):
            continue
        if name not in declared:
            problems.append(f"{name} is not a setting{_nearest(name, declared)}.")
        elif environ[name].strip():  # `NAME=` in a compose file means "not set"
            _keep(given, declared[name], name, environ[name].strip(), problems)
    return given


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    return f" (did you mean {found[0]}?)" if found else ""


def _keep(given: _Given, one: Field[Any], source: str, raw: Any, problems: list[str]) -> None:
    try:
        given[one.name] = (source, _convert(one, raw))
    except ValueError as error:
        problems.append(f"{source} {error}.")


def _convert(one: Field[Any], raw: Any) -> Any:
    """`raw` in the type of the field. The message of the ValueError goes on after the name of the setting."""
    about = one.metadata
    if one.type == "int":
        number = _whole_number(raw)
        least, most = about["least"], about["most"]
        if not least <= number <= most:
            raise ValueError(f"must be from {least} to {most}, not {number}")
        return number
    if one.type == "tuple[str, ...]":
        items = raw.split(",") if isinstance(raw, str) else raw
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise ValueError("must be a list of texts")
        return tuple(item.strip() for item in items if item.strip())
    if not isinstance(raw, str):
        raise ValueError("must be a text in quotation marks")  # noqa: TRY004 - said beside the other problems
    text = raw.strip()
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("must not hold line breaks or control characters")
    if about["choices"] and text not in about["choices"]:
        listed = ", ".join(about["choices"])
        raise ValueError(f"must be one of {listed}, not {text!r}")
    return text


def _whole_number(raw: Any) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and re.fullmatch(r"-?[0-9]{1,12}", raw):
        return int(raw)
    raise ValueError(f"must be a whole number, not {raw!r}")


# ── checking together ────────────────────────────────────────────────────────────────────────────────────────────────


def _complete(values: dict[str, Any], sources: Mapping[str, str], problems: list[str]) -> None:
    """Check what has a shape of its own, fill in defaults that depend on others, then check what belongs together."""

    def check(name: str, rule: Callable[[str], str]) -> None:
        if name in sources and values[name]:
            try:
                values[name] = rule(values[name])
            except ValueError as error:
                problems.append(f"{sources[name]} {error}.")
                values[name] = ""

    check("public_url", _checked_public_url)
    check("database_url", _checked_database_url)
    check("mail_from", _checked_email)
    check("smtp_host", _checked_host)
    check("bind_host", _checked_bind_host)
    check("log_origin", _checked_origin)
    check("charter_edition", _checked_edition)
    check("centre_bin", _checked_bin)
    check("secret_key", _checked_secret_key)
    # Browsers send host names in lower case, and they are compared letter by letter.
    values["trusted_hosts"] = tuple(host.lower() for host in values["trusted_hosts"])
    for host in values["trusted_hosts"]:
        if not _HOST_PATTERN.fullmatch(host.removeprefix(".")) and not _is_address(host):
            problems.append(f"{sources['trusted_hosts']} holds {host!r}, which is not a host name.")

    is_production = values["environment"] == "production"
    if is_production:
        _check_production(values, sources, problems)
    if "public_url" not in sources:
        values["public_url"] = f"http://127.0.0.1:{values['bind_port']}"
    address = urlsplit(values["public_url"])
    host = address.hostname or ""
    if "mail_transport" not in sources and values["smtp_host"]:
        values["mail_transport"] = "smtp"
    _check_mail(values, sources, problems)
    if not values["database_url"]:
        values["database_url"] = own_database_url(values["instance_path"])
    if "mail_from" not in sources and host and not is_loopback_host(host) and not _is_address(host):
        values["mail_from"] = f"charter@{host}"
    if not values["log_origin"]:
        values["log_origin"] = f"{address.netloc}/log"
    if not values["trusted_hosts"]:
        embedded_hosts = [] if is_production else ["127.0.0.1", "localhost"]
        values["trusted_hosts"] = tuple(dict.fromkeys([host, *embedded_hosts]))


def _check_production(values: Mapping[str, Any], sources: Mapping[str, str], problems: list[str]) -> None:
    if "secret_key" not in sources:
        problems.append(
            "CHARTER_SECRET_KEY is missing: production needs a secret of at least"
            f" {SECRET_KEY_LEAST_LENGTH} random characters."
        )
    if "public_url" not in sources:
        problems.append("CHARTER_PUBLIC_URL is missing: production needs the address under which people reach it.")
    elif values["public_url"].startswith("http://") and not is_loopback_host(
        urlsplit(values["public_url"]).hostname or ""
    ):
        problems.append(f"{sources['public_url']} must begin with https:// in production.")
    if sources.get("mail_transport") and values["mail_transport"] != "smtp":
        problems.append(f"{sources['mail_transport']} must be smtp in production, with CHARTER_SMTP_HOST set.")
    elif "smtp_host" not in sources and "mail_transport" not in sources:
        problems.append("CHARTER_SMTP_HOST is missing: production needs a mail server.")


def _check_mail(values: Mapping[str, Any], sources: Mapping[str, str], problems: list[str]) -> None:
    if sources.get("mail_transport") and values["mail_transport"] == "smtp" and "smtp_host" not in sources:
        problems.append("CHARTER_SMTP_HOST is missing: mail_transport is smtp.")
    if "smtp_password" in sources and "smtp_username" not in sources:
        problems.append("CHARTER_SMTP_USERNAME is missing: a password for the mail server is set.")
    if "smtp_username" in sources and "smtp_password" not in sources:
        problems.append("CHARTER_SMTP_PASSWORD is missing: a name for the mail server is set.")
    is_in_clear = (
        values["smtp_security"] == "none" and values["smtp_host"] and not is_loopback_host(values["smtp_host"])
    )
    if is_in_clear and "smtp_password" in sources:
        problems.append(
            f"{sources['smtp_security']} must be starttls or tls: the password would cross the network in clear."
        )


def _checked_public_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not an address such as https://charter.example") from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not (_HOST_PATTERN.fullmatch(host) or _is_address(host)):
        raise ValueError("is not an address such as https://charter.example (write other alphabets as xn--…)")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a name or password")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("must end after the host (and port), without a path")
    if port == 0:
        raise ValueError("has no usable port")
    shown_host = f"[{host}]" if ":" in host else host.removesuffix(".")
    is_usual = port is None or port == {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{shown_host}" + ("" if is_usual else f":{port}")


def _checked_database_url(text: str) -> str:
    # The value may hold a password: no message repeats any part of it.
    shape = "must be postgresql://user:password@host/name or sqlite:////absolute/path.db"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(shape) from None
    if url.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        if not url.database:
            raise ValueError("names no database after the host")
        url = url.set(drivername="postgresql+psycopg")
    elif url.drivername in ("sqlite", "sqlite+pysqlite"):
        # Web and worker are processes of their own: a database in memory or beside one of them would not be shared.
        if not url.database or not os.path.isabs(url.database):
            raise ValueError("must name the SQLite file by an absolute path (sqlite:////absolute/path.db)")
        url = url.set(drivername="sqlite")
    else:
        raise ValueError(shape)
    return url.render_as_string(hide_password=False)


def _checked_email(text: str) -> str:
    if text.endswith("@localhost") and re.fullmatch(r"[a-z0-9._+-]+@localhost", text, re.IGNORECASE):
        return text
    try:
        return validate_email(text, check_deliverability=False, allow_smtputf8=False).normalized
    except EmailNotValidError:
        raise ValueError("is not an e-mail address") from None


def _checked_host(text: str) -> str:
    if not (_HOST_PATTERN.fullmatch(text) or _is_address(text)):
        raise ValueError("is not a host name or address")
    return text


def _checked_bind_host(text: str) -> str:
    if not (_HOST_PATTERN.fullmatch(text) or _is_address(text)):
        raise ValueError("is not an address to listen on, such as 127.0.0.1 or 0.0.0.0")
    return text


def _checked_origin(text: str) -> str:
    if not _ORIGIN_PATTERN.fullmatch(text):
        raise ValueError("must look like charter.example/log, without https:// and without spaces")
    return text


def _checked_edition(text: str) -> str:
    if not _EDITION_PATTERN.fullmatch(text):
        raise ValueError("must be a name of small Latin letters, digits and hyphens")
    return text


def _checked_bin(text: str) -> str:
    if not re.fullmatch(r"[0-9]{12}", text):
        raise ValueError("must be 12 digits")
    return text


def _checked_secret_key(text: str) -> str:
    if len(text) < SECRET_KEY_LEAST_LENGTH:
        raise ValueError(f"is too short: at least {SECRET_KEY_LEAST_LENGTH} random characters")
    return text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


# ── the key of an embedded instance ──────────────────────────────────────────────────────────────────────────────────


def _kept_secret_key(folder: Path) -> str:
    """The key in `instance/secret_key`, made when missing; processes that start together agree on one."""
    path = folder / SECRET_KEY_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make_secret_key(path)
        key = path.read_text(encoding="ascii").strip()
    except (FileExistsError, NotADirectoryError):
        raise SettingsError([f"{folder} is not a folder."]) from None
    except OSError as error:
        raise SettingsError([f"{path} cannot be made or read: {error.strerror}."]) from None
    except UnicodeDecodeError:
        key = ""
    if len(key) < SECRET_KEY_LEAST_LENGTH:
        raise SettingsError(
            [f"{path} is damaged: bring it back from a copy, or remove it to end every link and session."]
        )
    return key


def _make_secret_key(path: Path) -> None:
    # Written whole under a name of its own, then linked: the file appears complete or not at all, and link() refuses
    # to replace the key of a process that was quicker.
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


# ── how the README shows a setting ───────────────────────────────────────────────────────────────────────────────────


def _type_shown(one: Field[Any]) -> str:
    if one.metadata["choices"]:
        return "choice"
    return {"int": "whole number", "Path": "path", "tuple[str, ...]": "list"}.get(str(one.type), "text")


def _default_shown(one: Field[Any]) -> str:
    if one.metadata["shown"]:
        return str(one.metadata["shown"])
    return f"`{one.default}`" if one.default != "" else "–"
