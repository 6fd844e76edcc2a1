"""What the settings must obey: the shape of each, the defaults that depend on others, and what belongs together."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from charter.settings.declared import SECRET_KEY_LEAST_LENGTH, is_address, is_loopback_host
from charter.settings.witnesses import check_witnesses

_HOST_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_PATTERN = re.compile(rf"{_HOST_LABEL}(?:\.{_HOST_LABEL})*\.?", re.IGNORECASE)
_EDITION_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# A key name of a signed note holds neither spaces nor plus signs (C2SP signed-note).
_ORIGIN_PATTERN = re.compile(r"[a-z0-9][a-z0-9.:\[\]-]*(?:/[a-z0-9._~-]+)*", re.IGNORECASE)


def complete(values: dict[str, Any], sources: Mapping[str, str], problems: list[str]) -> None:
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
    check("database_replica_url", _checked_database_url)
    check("mail_from", _checked_email)
    check("bounce_address", _checked_email)
    check("smtp_host", _checked_host)
    check("bind_host", _checked_bind_host)
    check("metrics_host", _checked_bind_host)
    check("log_origin", _checked_origin)
    check("charter_edition", _checked_edition)
    check("centre_bin", _checked_bin)
    check("secret_key", _checked_secret_key)
    # Browsers send host names in lower case, and they are compared letter by letter.
    values["trusted_hosts"] = tuple(host.lower() for host in values["trusted_hosts"])
    for recipient in values["backup_recipients"]:
        # Bech32 with a checksum; the rest is for the library that encrypts.
        if not re.fullmatch(r"age1[02-9ac-hj-np-z]{58}", recipient):
            problems.append(f"{sources['backup_recipients']} holds something that is not a public key (age1…).")
    for host in values["trusted_hosts"]:
        if not _HOST_PATTERN.fullmatch(host.removeprefix(".")) and not is_address(host):
            problems.append(f"{sources['trusted_hosts']} holds {host!r}, which is not a host name.")

    check_witnesses(values, sources, problems)
    if values["unconfirmed_keep_days"] < values["confirm_link_days"]:
        named = sources.get("unconfirmed_keep_days") or sources.get("confirm_link_days", "unconfirmed_keep_days")
        problems.append(f"{named}: unconfirmed_keep_days must not be less than confirm_link_days.")
    if values["mailbox_keep_days"] < values["mail_stop_days"]:
        named = sources.get("mailbox_keep_days") or sources.get("mail_stop_days", "mailbox_keep_days")
        problems.append(f"{named}: mailbox_keep_days must not be less than mail_stop_days.")
    if values["metrics_port"] and values["metrics_port"] == values["bind_port"]:
        problems.append(f"{sources['metrics_port']} must not be the port of the web server.")

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
    _check_replica(values, sources, problems)
    if "backup_path" not in sources:
        values["backup_path"] = values["instance_path"] / "backups"
    elif not values["backup_path"].is_absolute():
        # The service, a timer and a person at a shell must mean the same folder.
        problems.append(f"{sources['backup_path']} must be an absolute path.")
    if "log_path" not in sources:
        values["log_path"] = values["instance_path"]
    elif not values["log_path"].is_absolute():
        problems.append(f"{sources['log_path']} must be an absolute path.")
    if "mail_from" not in sources and host and not is_loopback_host(host) and not is_address(host):
        values["mail_from"] = f"charter@{host}"
    if not values["log_origin"]:
        values["log_origin"] = own_origin(values["public_url"])
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


def _check_replica(values: Mapping[str, Any], sources: Mapping[str, str], problems: list[str]) -> None:
    has_replica = values["database_replica_url"]
    if has_replica and not (
        values["database_url"].startswith("postgresql") and values["database_replica_url"].startswith("postgresql")
    ):
        problems.append(f"{sources['database_replica_url']}: only a PostgreSQL database has a replica.")
    if values["database_pooler"] != "none" and not values["database_url"].startswith("postgresql"):
        problems.append(f"{sources['database_pooler']}: only a PostgreSQL database has a pooler.")


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
    if parts.scheme not in ("http", "https") or not (_HOST_PATTERN.fullmatch(host) or is_address(host)):
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
    if not (_HOST_PATTERN.fullmatch(text) or is_address(text)):
        raise ValueError("is not a host name or address")
    return text


def _checked_bind_host(text: str) -> str:
    if not (_HOST_PATTERN.fullmatch(text) or is_address(text)):
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


def own_origin(public_url: str) -> str:
    """The name of a log that begins at this address unless another is given."""
    return f"{urlsplit(public_url).netloc}/log"


def own_database_url(folder: Path) -> str:
    """The SQLite database that lies in an instance folder unless another is named."""
    return URL.create("sqlite", database=str(folder / "charter.db")).render_as_string(hide_password=False)
