"""The Centre's desk: closed by default, one module a desk."""

import sys

# Flask-Security loads the library that reads passkeys wherever it is installed: seven megabytes of every process, for
# views that are switched off here (ours: passkeys.py, which loads it when somebody uses one). It does without when
# the library cannot be found, so it does not find it.
_is_hidden = "webauthn" not in sys.modules
if _is_hidden:
    sys.modules["webauthn"] = None  # type: ignore[assignment]
try:
    import flask_security  # noqa: F401
finally:
    if _is_hidden:
        del sys.modules["webauthn"]
