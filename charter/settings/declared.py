"""Every setting: its type, unit, default and meaning, read once at start and refused by name when wrong."""

from __future__ import annotations

import ipaddress
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

PREFIX = "CHARTER_"
SECRET_KEY_LEAST_LENGTH = 32

# Names with our prefix that belong to dev.py and the tests, not to the service.
OUTSIDE_NAMES = frozenset({"CHARTER_VENV", "CHARTER_TEST_DATABASE_URL"})


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
    database_replica_url: str = _setting(
        "",
        "A streaming replica of the PostgreSQL database; public pages read from it, everything else from the primary.",
        secret=True,
    )
    database_pooler: str = _setting(
        "none",
        "`transaction` if PgBouncer in transaction mode stands between: nothing may then outlive a transaction.",
        choices=("none", "transaction"),
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
    mail_hourly_budget: int = _setting(
        20_000,
        "Mails that leave within an hour, all workers together; first mails to strangers get four fifths of it at most."
        " 0: as many as there are.",
        least=0,
        most=10_000_000,
    )
    mail_stop_days: int = _setting(
        365, "A mailbox whose owner says “this was not me” gets no first mail for so long.", least=30, most=3650
    )
    bounce_address: str = _setting(
        "",
        "Address for mail that comes back; each mail gets one of its own below it, such as `bounce+…@host`, whose mail"
        " goes to `flask --app charter bounce`. Empty: it comes back to `mail_from`.",
    )
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
    public_recheck_ms: int = _setting(
        500,
        "How long a web process answers with finished public pages, and that a page has not changed, before it asks"
        " again whether a batch has come; 0: at every request.",
        least=0,
        most=1000,
    )
    downloads_at_once: int = _setting(
        3,
        "Files of the registry that each web server process sends at once; whoever asks for more is asked to come back."
        " Keep it below `web_threads`.",
        least=1,
        most=128,
    )
    open_data_licence: str = _setting(
        "", "Licence of the open data, such as `CC BY 4.0`, as shown on its page and in files; empty: none is named."
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
    signings_per_mailbox_hour: int = _setting(
        10, "Forms sent with one address within an hour; more are set aside. 0: no limit.", least=0, most=200
    )
    signings_per_network_hour: int = _setting(
        120,
        "Forms sent from one network (an IPv4 address, an IPv6 /64) within an hour; more are set aside. 0: no limit.",
        least=0,
        most=2_000,
    )
    signings_per_domain_hour: int = _setting(
        120,
        "Forms sent with addresses of one mail domain within an hour; more are set aside. Large providers have no such"
        " limit. 0: no limit.",
        least=0,
        most=2_000,
    )
    signings_per_minute: int = _setting(
        600, "Forms sent within a minute by all together; more are set aside. 0: no limit.", least=0, most=5_000
    )
    proof_of_work_from: int = _setting(
        60,
        "Forms sent within a minute by all together, from which on every browser has to do a proof of work. 0: never.",
        least=0,
        most=5_000,
    )
    proof_of_work_tries: int = _setting(
        1000, "How much work that is: tries on average, a second or two for a telephone.", least=10, most=20_000
    )
    signing_least_seconds: int = _setting(
        3, "A form that comes back sooner was filled in by a machine and is set aside. 0: none is.", least=0, most=60
    )
    large_mail_domains: tuple[str, ...] = _setting(
        (), "Mail domains of many people without a limit of their own, besides the shipped ones. Separated by commas."
    )
    throwaway_domains: tuple[str, ...] = _setting(
        (),
        "Mail domains that give addresses away for minutes, besides those we know: a hint for reviewers. Separated by"
        " commas.",
    )
    reminder_hours: int = _setting(
        48, "A signature that is not confirmed after so long gets its one reminder; 0: none is sent.", least=0, most=336
    )
    unconfirmed_keep_days: int = _setting(
        14, "Signatures that were never confirmed are erased after so long.", least=2, most=90
    )
    declined_keep_days: int = _setting(
        365, "Declined applications and removed entries are erased after so long; 0: they stay.", least=0, most=3650
    )
    trace_keep_days: int = _setting(
        14, "From where and how a signature came (keyed digests) is deleted after so long.", least=1, most=60
    )
    mailbox_keep_days: int = _setting(
        365,
        "How many mails an address was sent (keyed digests) is deleted so long after the last.",
        least=30,
        most=3650,
    )
    address_change_keep_days: int = _setting(
        14, "A new address that was not confirmed is deleted so long after it was asked for.", least=1, most=90
    )
    words_keep_days: int = _setting(
        365, "Corrections, objections and invalidations lose their words so long after they ended.", least=30, most=3650
    )
    staff_idle_minutes: int = _setting(30, "A staff session ends after so long without a request.", least=5, most=480)
    staff_fresh_minutes: int = _setting(
        15,
        "A staff session whose second factor was given longer ago gives it again before exports, the team, editions,"
        " removing entries and approving.",
        least=1,
        most=240,
    )
    staff_session_hours: int = _setting(12, "A staff session ends after so long in any case.", least=1, most=72)
    outbox_lease_seconds: int = _setting(
        300, "A message taken up by a worker that died is tried again after so long.", least=30, most=86_400
    )
    database_busy_timeout_ms: int = _setting(
        10_000, "How long a write waits for others, in all; then 503.", least=100, most=120_000
    )
    backup_path: Path = _setting(  # noqa: RUF009 - a Path never changes
        Path("instance/backups"),
        "Folder for backups, and for the plain file of the log's leaves that a restore reads.",
        shown="`instance/backups`",
    )
    backup_recipients: tuple[str, ...] = _setting(
        (), "Public keys (`age1…`) that backups are encrypted to; without any they are not. Separated by commas."
    )
    backup_keep_days: int = _setting(14, "Older backups are removed after a new one succeeded.", least=1, most=3650)
    metrics_host: str = _setting("127.0.0.1", "Address on which metrics are served to Prometheus.")
    metrics_port: int = _setting(0, "Port for metrics; 0 serves none.", least=0, most=65535)
    log_origin: str = _setting(
        "",
        "Name of the transparency log; never change it once something has been published.",
        shown="host of `public_url` + `/log`",
    )
    log_path: Path = _setting(  # noqa: RUF009 - a Path never changes
        Path("instance"),
        "Folder for the log's key and guard; keep it, and never let two machines have it.",
        shown="`instance`",
    )
    witnesses: tuple[str, ...] = _setting(
        (),
        "Witnesses that cosign the log's checkpoints, each as its key and its address with a space between:"
        " `name+hash+key https://witness.example`. Separated by commas.",
    )
    witness_quorum: int = _setting(
        0, "So many witnesses must have cosigned a checkpoint before it is shown; 0: none.", least=0, most=32
    )
    witness_grace_hours: int = _setting(
        24,
        "With a quorum that is missed for so long, checkpoints are shown without it; until then the last one that had"
        " it.",
        least=1,
        most=720,
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


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback_host(host: str) -> bool:
    """Whether a host name or address means this machine itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


# ── how the README shows a setting ───────────────────────────────────────────────────────────────────────────────────


def _type_shown(one: Field[Any]) -> str:
    if one.metadata["choices"]:
        return "choice"
    return {"int": "whole number", "Path": "path", "tuple[str, ...]": "list"}.get(str(one.type), "text")


def _default_shown(one: Field[Any]) -> str:
    if one.metadata["shown"]:
        return str(one.metadata["shown"])
    return f"`{one.default}`" if one.default != "" else "–"
