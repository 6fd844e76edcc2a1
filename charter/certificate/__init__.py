"""One signatory's certificate as PDF, and a picture to share, set by Typst (docs/certificate.md).

Typst is loaded when the first of them is asked for, and not before.
"""

from charter.certificate.paper import Paper, certificate
from charter.certificate.picture import CHOICES, Picture, picture
from charter.certificate.typesetting import BusyError

__all__ = ["CHOICES", "BusyError", "Paper", "Picture", "certificate", "picture"]
