"""The told world, and the rule that no test leaves this machine."""

from tests.house.sockets import only_here
from tests.house.told import told_postgresql, told_sqlite, world

__all__ = ["only_here", "told_postgresql", "told_sqlite", "world"]
