"""Typst: a template and data become a PDF or a picture, one at a time, the same bytes for the same data."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import typst

FOLDER = Path(__file__).parent
#: Made by build_assets.py; without them the letters are those that come with Typst.
FONTS = FOLDER / "fonts"
#: For archives (PDF/A-3, with files attached) and for screen readers (PDF/UA): Typst refuses what would be neither.
STANDARDS: Sequence[Any] = ("a-3a", "ua-1")
#: Whoever has waited so long while others' were made is asked to come back.
PATIENCE_SECONDS = 5.0


class BusyError(Exception):
    """Too many are being made just now."""


@dataclass
class _Press:
    """One for a process: a second one would have to read the fonts again, and take a processor from the pages."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    fonts: typst.Fonts | None = None
    compilers: dict[str, typst.Compiler] = field(default_factory=dict)

    def compiler(self, template: str) -> typst.Compiler:
        found = self.compilers.get(template)
        if found is None:
            # Late: 20 MB that most processes never need.
            import typst

            if self.fonts is None:
                # Typst looks into a folder that is not there without a word.
                self.fonts = typst.Fonts(include_system_fonts=False, font_paths=[FONTS])
            found = self.compilers[template] = typst.Compiler(
                FOLDER / template, root=FOLDER, font_paths=self.fonts, ignore_system_fonts=True
            )
        return found


_press = _Press()


def make_pdf(template: str, given: Mapping[str, Any], *, at: datetime) -> bytes:
    """A PDF for archives. given: reaches the template as data, as JSON carries it. at: when it says it was made, UTC.

    Raises BusyError.
    """
    # Named one by one, for the stubs know each by its format.
    return _set(template, given, pdf_standards=list(STANDARDS), timestamp=int(at.timestamp()), format="pdf")


def make_png(template: str, given: Mapping[str, Any]) -> bytes:
    """A picture, a pixel for each point of the template. Raises BusyError."""
    return _set(template, given, format="png", ppi=72.0)


def _set(template: str, given: Mapping[str, Any], **how: Any) -> bytes:
    # Never a part of the source: what somebody calls themselves must not be able to say what is done.
    inputs = {"given": json.dumps(given, ensure_ascii=False)}
    if not _press.lock.acquire(timeout=PATIENCE_SECONDS):
        raise BusyError
    try:
        made: Any = _press.compiler(template).compile(sys_inputs=inputs, **how)
    finally:
        _press.lock.release()
    # Several pages of a picture would come as a list.
    return bytes(made) if isinstance(made, bytes) else bytes(made[0])
