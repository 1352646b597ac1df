"""What text is in the bytes of a JSON file that may be damaged?"""

from __future__ import annotations

__all__ = ["NOT_UTF8", "decoded"]

NOT_UTF8 = "some bytes are not valid UTF-8; they are shown as \ufffd"


def decoded(data: bytes) -> tuple[str, list[str]]:
    """The text, and notes about what had to be replaced in it."""
    try:
        return data.decode("utf-8").removeprefix("\ufeff"), []
    except UnicodeDecodeError:
        text = data.decode("utf-8", errors="replace")
        return text.removeprefix("\ufeff"), [NOT_UTF8]
