"""Every measurement by its name, in the order of the report."""

from __future__ import annotations

from types import ModuleType

from benchmarks import (
    audit,
    certificate,
    confirm,
    counters,
    crash,
    desk,
    hints,
    imports,
    log,
    mail_down,
    mail_rate,
    memory,
    mirror,
    oracle,
    pages,
    region_page,
    replace,
    restore,
    search,
    sign,
    sweep,
    takeaway,
    verify_page,
    writers,
)

MEASUREMENTS: dict[str, ModuleType] = {
    "sign": sign,
    "oracle": oracle,
    "confirm": confirm,
    "writers": writers,
    "mail-down": mail_down,
    "mail-rate": mail_rate,
    "crash": crash,
    "replace": replace,
    "restore": restore,
    "pages": pages,
    "search": search,
    "serving": region_page,
    "takeaway": takeaway,
    "mirror": mirror,
    "counters": counters,
    "hints": hints,
    "desk": desk,
    "imports": imports,
    "sweep": sweep,
    "log": log,
    "audit": audit,
    "verify-page": verify_page,
    "certificate": certificate,
    "memory": memory,
}
