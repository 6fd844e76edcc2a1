"""The examples of the page for developers: they run as they stand, and a test runs them."""

from __future__ import annotations

#: What each is for is said on the page. BASE is the address of this instance.
CURL_FIRST = "curl -s 'BASE/api/v1/entries?size=1'"
CURL_SEARCH = """\
curl -sG 'BASE/api/v1/entries' \\
  --data-urlencode 'q=Оспанова' -d region=KZ-75"""
CURL_UNCHANGED = """\
curl -si 'BASE/api/v1/statistics' \\
  -H 'If-None-Match: TAG'"""

PYTHON_SEARCH = """\
import json
from urllib.parse import urlencode
from urllib.request import urlopen

query = urlencode({"q": "Оспанова", "order": "name", "size": 20})
with urlopen(f"BASE/api/v1/entries?{query}") as answer:
    page = json.load(answer)

print(page["count"]["number"], "entries as of", page["as_of"]["at"])
for entry in page["data"]:
    print(entry["number"], entry.get("name", "-"), entry["region"])
"""

PYTHON_COPY = """\
import json
from urllib.request import urlopen

ENTRIES = "BASE/api/v1/entries?size=200"


def changes(since):
    \"\"\"What changed after a revision, and where to go on.\"\"\"
    found, cursor = [], ""
    while True:
        with urlopen(f"{ENTRIES}&since={since}{cursor}") as answer:
            page = json.load(answer)
        found += page["data"]
        if "next" not in page:
            return found, page["next_since"]
        cursor = "&cursor=" + page["next"]


copy, since = {}, 0  # keep both and go on from them next time
found, since = changes(since)
for entry in found:
    # The whole entry anew: one that has ended has lost its name.
    copy[entry["number"]] = entry
print(len(copy), "entries as of public revision", since)
"""


def shown(example: str, *, base: str, tag: str = "") -> str:
    """An example with the address of this instance, and an entity tag as it is now."""
    return example.replace("BASE", base).replace("TAG", tag)
