"""What is text, on every way in: one rule, held before anything is sent and paid for."""

from __future__ import annotations

from nemocli.core.faults import config_error, usage_error

_WIDE = (b"\xff\xfe", b"\xfe\xff")
_MARK = b"\xef\xbb\xbf"
_IMAGES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


def image_type(data: bytes) -> str | None:
    """The media type of a picture, by its first bytes; None for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for head, kind in _IMAGES.items() if data.startswith(head)), None)


def text_of(data: bytes, what: str) -> str:
    """UTF-8, with or without a byte order mark, or UTF-16 with one, and no NUL in it. Raises
    NemoError (config) with the place of what is no text; `what` names where it came from."""
    if image_type(data) is not None:
        raise config_error(
            f"{what}: a picture, and text is wanted here",
            "`nemocli ask -f FILE` sends a picture to a model that takes it",
        )
    wide = data.startswith(_WIDE)
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start + (0 if wide else mark_size(data))
        name = "UTF-16" if wide else "UTF-8"
        raise config_error(f"{what}: not {name} text (byte {at})", encoding_hint(data)) from error
    if (at := text.find("\0")) >= 0:
        before = len(text[:at].encode("utf-16-le" if wide else "utf-8"))
        place = before + mark_size(data)
        raise config_error(f"{what}: not text (a NUL byte at {place})", encoding_hint(data))
    return text


def text_from_argv(text: str | None, what: str) -> str | None:
    """Text from the command line. Raises NemoError (usage) where its bytes were not UTF-8."""
    if text is not None and any("\ud800" <= c <= "\udfff" for c in text):
        raise usage_error(
            f"{what} is not UTF-8 text", "`iconv -t utf-8` converts text in other encodings"
        )
    return text


def encoding_hint(data: bytes) -> str:
    """How to make text of bytes that are none, as far as can be told."""
    if data.startswith(_WIDE):
        return "it is UTF-16: `iconv -f UTF-16 -t UTF-8` converts it"
    head = data[:200]
    for name, nuls in (("UTF-16LE", head[1::2]), ("UTF-16BE", head[::2])):
        if len(head) > 3 and nuls.count(0) * 2 > len(nuls):
            return f"it looks like {name}: `iconv -f {name} -t UTF-8` converts it"
    return "`iconv -t utf-8` converts text in other encodings"


def mark_size(data: bytes) -> int:
    """The length of the byte order mark, which the decoders swallow."""
    return 2 if data.startswith(_WIDE) else len(_MARK) if data.startswith(_MARK) else 0
