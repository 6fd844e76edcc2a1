"""Asks the web server of this container whether it is alive: exit code 0 or 1; there is no curl in the image."""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit


def check(environ: Mapping[str, str], path: str = "/healthz") -> int:
    """0 if the answer is 200. The server accepts only the host names of its settings, so it is asked by that name."""
    port = int(environ.get("CHARTER_BIND_PORT") or 8000)
    name = urlsplit(environ.get("CHARTER_PUBLIC_URL", "")).hostname or "127.0.0.1"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", path, headers={"Host": name})
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(check(os.environ, *sys.argv[1:2]))
