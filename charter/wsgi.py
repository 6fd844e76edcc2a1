"""The application for a WSGI server: `charter.wsgi:app`."""

from charter import create_app, logs, metrics

app = create_app()
logs.speak_for_process()
metrics.start(app, "web")
