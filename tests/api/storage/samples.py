"""Small files of many kinds."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _zip(*names: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in names:
            archive.writestr(name, "<x/>")
    return written.getvalue()


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\0\0\0\0"))
    + _chunk(b"IEND", b"")
)
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xd9"
GIF = b"GIF89a\1\0\1\0\0\0\0;"
WEBP = b"RIFF\x24\0\0\0WEBPVP8 " + bytes(30)
AVIF = b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1A" + bytes(20)
MP4 = b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(30)
PDF = b"%PDF-1.7\n%abc\n%%EOF"
ZIP = _zip("a.txt")
DOCX = _zip("[Content_Types].xml", "word/document.xml")
HTML = b"<!doctype html><html><script>alert(1)</script></html>"
SCRIPT = b"  <script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
TEXT = "Grüße".encode()
POLYGLOT = b"GIF89a/*<html><script>alert(1)</script>*/=1"
HTML_LIKE_AN_IMAGE = b"<html>" + PNG

DOCX_KIND = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
