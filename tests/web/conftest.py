"""The told world, for the tests here."""

from tests.house.told import told_postgresql, told_sqlite, world

__all__ = ["told_postgresql", "told_sqlite", "world"]
