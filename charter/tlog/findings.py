"""What a check found to be wrong, each with a code for programs and a plain sentence for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

#: Every code; what each means stands in docs/verify.md.
# fmt: off
CODES = frozenset({
    "bundle", "checkpoint", "confirm-again", "due", "due-moved", "edition", "edition-again", "ended", "fork", "key",
    "leaf-form", "leaf-key", "leaf-kind", "leaf-value", "number", "old", "publish-again", "publish-without-confirm",
    "quorum", "receipt", "record", "record-added", "record-changed", "record-ended", "record-missing", "record-rev",
    "registry-count", "registry-form", "registry-order", "registry-root", "retired-key", "rev", "revoke-approvals",
    "rollback", "root", "text", "tile", "time", "too-large", "unknown-entry", "wrong-phase",
})
# fmt: on

#: So many are kept word for word; the others are only counted.
MOST_KEPT = 1000


@dataclass(frozen=True)
class Finding:
    """code: one of CODES. text: a sentence. leaf: index of the leaf it is about, if one."""

    code: str
    text: str
    leaf: int | None = None

    def __str__(self) -> str:
        return self.text if self.leaf is None else f"Leaf {self.leaf}: {self.text}"


class Findings:
    """Gathers them; a hostile log cannot fill the memory."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.counts: Counter[str] = Counter()

    def add(self, code: str, text: str, leaf: int | None = None) -> None:
        """One more; the code is one of CODES."""
        assert code in CODES, code
        self.counts[code] += 1
        if len(self.kept) < MOST_KEPT:
            self.kept.append(Finding(code, text, leaf))

    def __len__(self) -> int:
        return self.counts.total()
