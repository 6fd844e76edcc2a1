"""What is wrong with a leaf that cannot be read, in words, and what it says as far as it can be understood."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from charter.tlog import canonical, leaf, quick
from charter.tlog.quick import Read

#: A key that may be repeated in a sentence; any other might itself be what should not be there.
_TELLABLE = re.compile(r"[a-z_]{1,30}")


@dataclass(frozen=True)
class Broken:
    """faults: (code, sentence). leaf: None if it does not even say what happened to which entry."""

    faults: list[tuple[str, str]]
    leaf: Read | None


def explain(data: bytes) -> Broken:
    """Why `leaf.decode` refuses these bytes. Never repeats a value: it might be personal data. Raises nothing."""
    try:
        found = canonical.decode(data)
    except canonical.NotCanonicalError as error:
        return Broken([("leaf-form", f"it is not canonical JSON ({error}).")], _lenient(data))
    kind = found.get("kind")
    if not isinstance(kind, str) or kind not in leaf.KINDS:
        return Broken([("leaf-kind", "it is of no kind that the log knows.")], None)
    faults = []
    required, optional = leaf.KINDS[kind]
    for key in sorted(set(found) - required - optional - {"kind", "t", "v"}):
        named = f"the key “{key}”" if _TELLABLE.fullmatch(key) else "a key"
        faults.append(("leaf-key", f"it holds {named}, which a {kind} never has: personal data may be in it."))
    faults += [("leaf-key", f"a {kind} without “{key}”.") for key in sorted((required | {"t", "v"}) - set(found))]
    for key in sorted(set(found) & (required | optional)):
        if not leaf.is_value(key, found[key]):
            faults.append(("leaf-value", f"“{key}” is not what a {kind} may have there: personal data may be in it."))
    if not leaf.is_value("t", found.get("t")) or found.get("v") != leaf.VERSION:
        faults.append(("leaf-value", "“t” or “v” is not what a leaf may have there."))
    approvals = found.get("approvals")
    if kind == "revoke" and leaf.is_value("approvals", approvals) and len(approvals) < leaf.REVOKING:  # type: ignore[arg-type]
        faults = [("revoke-approvals", f"an entry is removed with fewer than {leaf.REVOKING} approvals."), *faults]
    elif kind == "revoke" and not approvals:
        faults = [("revoke-approvals", f"an entry is removed without {leaf.REVOKING} approvals."), *faults]
    elif kind == "revoke" and isinstance(approvals, list):
        faults.append(("revoke-approvals", f"an entry is removed without {leaf.REVOKING} different approvals."))
    if kind == "correct" and found.get("rev") == 1:
        faults.append(("rev", "a correction has revision 1, which only a publication has."))
    return Broken(faults or [("leaf-value", "it is not as it would be written.")], _understood(found))


def _lenient(data: bytes) -> Read | None:
    try:
        found = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return _understood(found) if isinstance(found, dict) else None


def _understood(found: dict[str, object]) -> Read | None:
    """What happened to which entry, if every value that matters is one."""
    kind = found.get("kind")
    if not isinstance(kind, str) or kind not in leaf.KINDS or kind in {"charter", "key"}:
        return None
    needed = {key for key in leaf.KINDS[kind][0] if key in {"commit", "due", "entry", "rev"}} | {"t"}
    if not all(leaf.is_value(key, found.get(key)) for key in needed):
        return None
    values = {key: found[key] for key in needed - {"t"}}
    return quick.of_values(kind, str(found["t"]).encode(), values)
