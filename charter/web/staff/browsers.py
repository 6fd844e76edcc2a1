"""What a browser calls itself, in two words: enough for its owner to know it again, and no more."""

from __future__ import annotations

from flask import request

#: The first that is found wins: most browsers also name those they resemble.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("YaBrowser", "Yandex"),
    ("SamsungBrowser", "Samsung"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def family() -> str:
    """Such as "Firefox, Windows"; empty where nothing is known. None of the browser's own words."""
    told = request.user_agent.string
    found = [next((name for part, name in table if part in told), "") for table in (_BROWSERS, _SYSTEMS)]
    return ", ".join(name for name in found if name)
