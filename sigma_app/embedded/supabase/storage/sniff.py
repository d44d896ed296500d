"""What a file's first bytes say that it is, whatever its sender called it.

puremagic knows the beginnings of many formats. Of some of them every file has its beginning, so that a missing one
tells as much: those are `_SIGNED`. A text is told by nothing (puremagic sees HTML and SVG only where they begin in the
usual way), which is why nothing but the images of `SAFE_IMAGES` is ever shown rather than downloaded (serve.py).
"""

from __future__ import annotations

import puremagic

HEAD_BYTES = 4096
SAFE_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"})
"""Images of pixels, in which no browser finds anything to run."""
UNKNOWN = "application/octet-stream"
_SIGNED = SAFE_IMAGES | {"application/pdf", "application/zip", "video/mp4", "video/webm", "image/tiff"}
_TOLD = _SIGNED | {"text/html", "image/svg+xml"}
_OTHER_NAMES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "application/x-pdf": "application/pdf"}
_LEAST_BYTES = 3  # of a beginning; shorter ones (BM, MZ) are words, too. Endings (a negative offset) tell nothing


def essence(kind: str) -> str:
    """A media type in small letters without its parameters, by the name that it is registered under."""
    plain = kind.partition(";")[0].strip().lower()
    return _OTHER_NAMES.get(plain, plain)


def sniff(head: bytes) -> list[str]:
    """The media types that a file with this beginning may have, the likeliest first; none where nothing is known."""
    try:
        found = puremagic.magic_string(head)
    except (ValueError, puremagic.PureError):  # it is empty, or like nothing that is known
        return []
    return [
        match.mime_type
        for match in found
        if match.mime_type and match.offset >= 0 and len(match.byte_match) >= _LEAST_BYTES
    ]


def judge(declared: str, head: bytes) -> str:
    """The media type by which a bucket that takes only some decides about a file.

    Args:
        declared: what its sender calls it.
        head: its first `HEAD_BYTES`.

    Returns:
        `declared`, unless the content shows that it is another; then that one, or `UNKNOWN`.
    """
    kind = essence(declared)
    found = sniff(head)
    if kind in found:
        return declared
    told = next((other for other in found if other in _TOLD), None)
    if kind in _SIGNED:
        return told or UNKNOWN
    if told and told.partition("/")[0] != kind.partition("/")[0]:
        return told
    return declared


def is_safe_image(declared: str, head: bytes) -> bool:
    """Whether a file is an image that a browser may show, and is what it is called."""
    kind = essence(declared)
    return kind in SAFE_IMAGES and kind in sniff(head)
