"""What an uploaded picture becomes: a square WebP made of its pixels alone.

Whatever else a file is or carries, a page, a script, a place where it was taken, stays behind, since nothing of the
file itself is kept. Pillow reads the few formats that cameras and browsers write, by content, and none that needs a
program to be drawn.
"""

from __future__ import annotations

from io import BytesIO

from anyio import CapacityLimiter, to_thread
from PIL import Image, ImageOps

from sigma_app.core.errors import SigmaError

SIDE = 512  # pixels
MOST_PIXELS = 40_000_000  # of the picture as it comes: some 160 MB while it is worked on
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_QUALITY = 85

_one_at_a_time = CapacityLimiter(1)  # a process' memory bears one large picture; the others wait


class NoPicture(SigmaError):
    """That is no picture we can read. A JPEG, PNG, WebP or GIF works."""

    status = 422


class TooManyPixels(NoPicture):
    """That picture has too many pixels: 40 million at most. Please choose a smaller one."""


async def square_webp(data: bytes) -> bytes:
    """The middle of a picture, square, at most 512 pixels wide, upright, as WebP without any metadata.

    Args:
        data: a JPEG, PNG, WebP or GIF; of an animation the first frame counts.

    Raises:
        NoPicture: it is none of these, or breaks off.
        TooManyPixels: it is larger than we can work on; found out before a pixel is decoded.
    """
    return await to_thread.run_sync(_square_webp, data, limiter=_one_at_a_time)


def _square_webp(data: bytes) -> bytes:
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise TooManyPixels
            image.draft("RGB", (SIDE, SIDE))  # a JPEG need not be decoded in full
            upright = ImageOps.exif_transpose(image)
            side = min(upright.width, upright.height, SIDE)
            square = ImageOps.fit(_in_srgb(upright), (side, side), Image.Resampling.LANCZOS)
    except NoPicture:
        raise
    except Image.DecompressionBombError:
        raise TooManyPixels from None
    except (
        Exception
    ) as error:  # Pillow's decoders raise what they like: OSError, SyntaxError, ValueError, struct.error …
        raise NoPicture from error
    made = BytesIO()
    square.save(made, "WEBP", quality=_QUALITY, exif=b"", xmp=b"", icc_profile=None)
    return made.getvalue()


def _in_srgb(image: Image.Image) -> Image.Image:
    """The picture in the colours of the web, with its transparency if it has any."""
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    if image.mode.startswith("I;16") or image.mode == "I":  # 16 bits of grey: converting would cut, not scale
        image = image.point(lambda value: value / 256).convert("L")
    return image.convert("RGBA" if has_alpha else "RGB")
