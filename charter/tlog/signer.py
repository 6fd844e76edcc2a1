"""Who signs checkpoints: the log's own keys, each as a callable that keeps its seed to itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from charter.tlog import note


@dataclass(frozen=True)
class Signer:
    """keys: those that sign today, the chief one first; more than one while keys are being exchanged (LOG §3).

    All of them bear the same name: the origin of the log.
    """

    keys: Sequence[tuple[note.Key, note.Sign]]

    @property
    def origin(self) -> str:
        """The name of the log."""
        return self.keys[0][0].name

    @property
    def vkey(self) -> str:
        """The verifier key of the chief one, as text."""
        return self.keys[0][0].text

    def sign(self, size: int, root: bytes) -> str:
        """The note of a checkpoint, signed by every key."""
        checkpoint = note.Checkpoint(self.origin, size, root)
        return note.write(checkpoint, [note.sign(checkpoint, key, sign) for key, sign in self.keys])
