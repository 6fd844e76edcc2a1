"""A 304 says of security what its page said: browsers put its headers in the place of those they kept."""

from __future__ import annotations

import pytest

from charter.web import memory
from tests.house.world import World, rules

#: What a browser acts on when it shows, or lets others show, what it has kept.
ACTED_ON = (
    "Content-Security-Policy",
    "Cross-Origin-Resource-Policy",
    "Cross-Origin-Opener-Policy",
    "Access-Control-Allow-Origin",
    "Referrer-Policy",
    "X-Content-Type-Options",
    "Cache-Control",
)


@pytest.mark.parametrize("is_told", [False, True], ids=["by a glance", "by what is known"])
def test_what_was_kept_may_be_shown_as_before(world: World, is_told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    client = world.stranger().client
    looked_at = set()
    for rule in rules(world.app, "GET"):
        if rule.rule.startswith("/staff"):
            continue
        path = world.address(rule)
        first = client.get(path)
        tag = first.headers.get("ETag")
        if first.status_code != 200 or tag is None:
            continue
        with monkeypatch.context() as patched:
            if is_told and tag.strip('"').partition("-")[0].isdigit():
                revision = int(tag.strip('"').partition("-")[0])
                patched.setattr(memory, "recent_revision", lambda revision=revision: revision)
            again = client.get(path, headers={"If-None-Match": tag})
        assert again.status_code == 304, path
        for name in ACTED_ON:
            assert again.headers.get(name) == first.headers.get(name), (path, name)
        looked_at.add(rule.endpoint)
    assert {"embedding.badge", "embedding.counter", "takeaway.atom", "registry.index", "public.home"} <= looked_at
