"""Makes a picture square, in a process of its own: `python -I image_worker.py < upload > picture.webp`.

Decoders read what strangers wrote, so they run where there is nothing to find, no settings and no keys, and where they
can be stopped. Alone, therefore: the standard library and Pillow.
"""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from io import BytesIO

from PIL import Image, ImageOps

SIDE = 512  # pixels
MOST_PIXELS = 24_000_000  # of the picture as it comes: 96 MB with four bytes for each, twice while it is shrunk
NO_PICTURE, TOO_MANY_PIXELS = 3, 4  # exit codes

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_REDUCED = ("L", "LA", "RGB", "RGBA", "CMYK")  # a palette has no colours between its own
_QUALITY = 85
_MEMORY = 1024**3  # bytes
_PROCESSOR = 10  # seconds
_START_OF_SCAN = b"\xff\xda"
_MOST_SCANS = 50  # cameras and programs write some ten; each is another pass over all pixels


class TooManyPixels(Exception):
    """The picture is larger than `MOST_PIXELS`."""


def square_webp(data: bytes) -> bytes:
    """The middle of a picture, square, at most 512 pixels wide, upright, as WebP without any metadata.

    Raises:
        TooManyPixels: found out before a pixel is decoded.
        Exception: whatever Pillow's decoders raise; OSError, SyntaxError, ValueError, struct.error …
    """
    if data.startswith(b"\xff\xd8") and data.count(_START_OF_SCAN) > _MOST_SCANS:
        raise ValueError("so many scans are no photograph's")
    with Image.open(BytesIO(data), formats=_FORMATS) as image:
        if image.width * image.height > MOST_PIXELS:
            raise TooManyPixels
        image.draft("RGB", (SIDE, SIDE))  # a JPEG need not be decoded in full
        picture = _in_srgb(_smaller(image))
    upright = ImageOps.exif_transpose(picture)
    side = min(upright.width, upright.height, SIDE)
    square = ImageOps.fit(upright, (side, side), Image.Resampling.LANCZOS)
    made = BytesIO()
    square.save(made, "WEBP", quality=_QUALITY, exif=b"", xmp=b"", icc_profile=None)
    return made.getvalue()


def _smaller(image: Image.Image) -> Image.Image:
    """By a whole number, which is cheap, and never below what is needed."""
    factor = min(image.width, image.height) // (2 * SIDE)
    return image.reduce(factor) if factor > 1 and image.mode in _REDUCED else image


def _in_srgb(image: Image.Image) -> Image.Image:
    """The picture in the colours of the web, with its transparency if it has any."""
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    if image.mode.startswith("I;16") or image.mode == "I":  # 16 bits of grey: converting would cut, not scale
        image = image.point(lambda value: value / 256).convert("L")
    return image.convert("RGBA" if has_alpha else "RGB")


def main() -> int:
    """Read an upload, write a picture; the exit code says why there is none."""
    for limit, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CPU, _PROCESSOR)):
        with suppress(ValueError, OSError):  # macOS does not know the first
            resource.setrlimit(limit, (most, most))
    try:
        made = square_webp(sys.stdin.buffer.read())
    except (TooManyPixels, Image.DecompressionBombError):
        return TOO_MANY_PIXELS
    except Exception:
        return NO_PICTURE
    sys.stdout.buffer.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
