"""Metrics for Prometheus on a port of their own: whichever process of this machine comes first answers for all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import structlog
from flask import Flask

from charter import meters
from charter.settings import Settings

if TYPE_CHECKING:
    from http.server import ThreadingHTTPServer

    from charter.metrics.scrape import Scrape

logger = structlog.get_logger()

#: How soon another process notices that the one that answered has ended.
LOOK_SECONDS = 1.0


def start(app: Flask, process: str) -> Watcher | None:
    """Begins to count in this process, and to answer Prometheus as soon as no other does; None if metrics are off.

    process: `web` or `worker`. Only for processes that serve: a command that runs for a moment has nothing to tell.
    A folder that cannot be made or a port that is taken costs the metrics, never the service.
    """
    settings: Settings = app.config["CHARTER"]
    if not settings.metrics_port:
        return None
    # Only now: who has no metrics does not load the library.
    from charter.metrics.folder import MeetingPlace, make_folder
    from charter.metrics.scrape import Scrape

    try:
        place = MeetingPlace(make_folder(settings.instance_path), process)
        meters.switch_on(place.folder, place.identifier)
    except OSError as error:
        logger.warning("no metrics", why="no folder for them can be written", kind=type(error).__name__)
        return None
    watcher = Watcher(place, Scrape(app, place), settings)
    watcher.start()
    return watcher


class Watcher(threading.Thread):
    """Tries again and again to be the one that answers; a daemon, so that it holds up no end."""

    def __init__(self, place: Any, scrape: Scrape, settings: Settings) -> None:
        super().__init__(name="metrics", daemon=True)
        self._place, self._scrape, self._settings = place, scrape, settings
        self._is_ending = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    def run(self) -> None:
        """Until `stop`, or the end of the process."""
        from charter.metrics.answering import server

        has_told = False
        while not self._is_ending.is_set():
            if self._place.may_serve():
                try:
                    self._server = server(self._settings, self._scrape.text)
                except OSError as error:
                    # None of our own: those have agreed on one.
                    if not has_told:
                        # Its words would only say the address again.
                        logger.error(  # noqa: TRY400
                            "no metrics", why="their port cannot be used", kind=type(error).__name__
                        )
                        has_told = True
                else:
                    logger.info("metrics served", port=self._settings.metrics_port)
                    self._server.serve_forever(poll_interval=0.5)
                    return
            self._is_ending.wait(LOOK_SECONDS)

    def stop(self) -> None:
        """Ends it; for tests, because a process may simply end."""
        self._is_ending.set()
        while self.is_alive():
            if self._server is not None:
                self._server.shutdown()
            self.join(timeout=0.1)
        if self._server is not None:
            self._server.server_close()
        meters.switch_off()
        self._place.leave()
