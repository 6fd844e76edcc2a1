"""What strangers type, paste and inject; bytes where no text would do."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

TEXTS: dict[str, str] = {
    "script": "<script>alert(1)</script>",
    "picture": '"><img src=x onerror=alert(1)>',
    "end of textarea": "</textarea></select></title><b>bold",
    "template": "{{7*7}}",
    "template of another kind": "${7*7}#{7*7}<%= 7*7 %>{% raw %}",
    "format": "%(name)s %s %n {name} {0} {name.__class__.__mro__}",
    "sql": "' OR 1=1; DROP TABLE signature; --",
    "sql like": "%_\\%",
    "header": "a@example.org\r\nBcc: all@example.org\r\n\r\nhello",
    "new line": "Amina\nOspanova",
    "nul": "Amina\x00Ospanova",
    "escape": "\x1b[31mred\x1b[0m",
    "traversal": "../../../../etc/passwd",
    "prototype": "__proto__",
    "constructor": "constructor[prototype]",
    "formula": '=HYPERLINK("http://evil.example","x")',
    "bidi": "Amina \u202eavonapsO\u202c",
    "invisible": "A\u200bm\u2060i\ufeffna",
    "zalgo": "A" + "\u0301" * 400,
    "hangul filler": "\u3164",
    "full width": "＝１＋１",
    "emoji": "Amina 🇰🇿👩\u200d👩\u200d👧",
    "unassigned": "\U000e0fff\ufffe",
    "surrogate": "Amina \ud800",
    "huge number": "9" * 5000,
    "zeros first": "0" * 30 + "9" * 40,
    "negative": "-1",
    "beyond 64 bits": str(2**64),
    "beyond 63 bits": str(2**63),
    "not a number": "NaN",
    "infinite": "1e309",
    "other digits": "١٢٣٤٥٦",
    "long": "А" * 20_000,
    "white space": " \t\u00a0\u2003 ",
    "json": '{"$ne": null}',
    "link": "https://evil.example/?a=1&b=2",
    "quotes": "\"'`´’",
}

RAW: dict[str, bytes] = {
    "not UTF-8": b"\xff\xfe\xfa\x80",
    "cut short": "Әмина".encode()[:3],
    "overlong": b"\xc0\xaf\xe0\x80\xaf",
    "encoded surrogate": b"\xed\xa0\x80\xed\xb0\x80",
    "beyond Unicode": b"\xf5\x80\x80\x80",
    "another encoding": "Әмина Оспанова".encode("utf-16"),
}


def as_bytes(value: str | bytes) -> bytes:
    """As it goes over the wire; a lone surrogate as careless programs write it."""
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")


ALL: dict[str, bytes] = {name: as_bytes(value) for name, value in {**TEXTS, **RAW}.items()}


def body_of(fields: dict[str, str | bytes | list[str | bytes]]) -> bytes:
    """`application/x-www-form-urlencoded`, byte for byte."""
    pairs = []
    for name, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            pairs.append(f"{quote_from_bytes(as_bytes(name))}={quote_from_bytes(as_bytes(value))}")
    return "&".join(pairs).encode()
