"""The application for a WSGI server: `charter.wsgi:app`."""

from charter import create_app

app = create_app()
