"""Every measurement by its name, in the order of the report."""

from __future__ import annotations

from types import ModuleType

from benchmarks import confirm, crash, mail_down, mail_rate, memory, replace, restore, sign, writers

MEASUREMENTS: dict[str, ModuleType] = {
    "sign": sign,
    "confirm": confirm,
    "writers": writers,
    "mail-down": mail_down,
    "mail-rate": mail_rate,
    "crash": crash,
    "replace": replace,
    "restore": restore,
    "memory": memory,
}
