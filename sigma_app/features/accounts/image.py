"""What an uploaded picture becomes: a square WebP made of its pixels alone.

Whatever else a file is or carries, a page, a script, a place where it was taken, stays behind, since nothing of the
file itself is kept. Pillow reads the few formats that cameras and browsers write, by content, and none that needs a
program to be drawn; in a process of its own, which ends with the picture (image_worker.py).
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from anyio import CapacityLimiter, fail_after, run_process

from sigma_app.core.errors import SigmaError

# Not imported: Pillow would be loaded at each start, and is used in the other process alone
_WORKER = Path(__file__).with_name("image_worker.py")
_NO_PICTURE, _TOO_MANY_PIXELS = 3, 4  # its exit codes
_WAITING = 10  # each with an upload of up to 10 MB in memory
_SECONDS = 20  # for one picture, of which it may work ten

_one_at_a_time = CapacityLimiter(1)  # a machine's memory bears one large picture; the others wait

logger = logging.getLogger(__name__)


class NoPicture(SigmaError):
    """That is no picture we can read. A JPEG, PNG, WebP or GIF works."""

    status = 422


class TooManyPixels(NoPicture):
    """That picture has too many pixels: 24 million at most. Please choose a smaller one."""


class TooBusy(SigmaError):
    """Too many people are changing their picture at this moment. Please try again in a few seconds."""

    status = 429


async def square_webp(data: bytes) -> bytes:
    """The middle of a picture, square, at most 512 pixels wide, upright, as WebP without any metadata.

    Args:
        data: a JPEG, PNG, WebP or GIF; of an animation the first frame counts.

    Raises:
        NoPicture: it is none of these, breaks off, or takes too long.
        TooManyPixels: it is larger than we can work on.
        TooBusy: 10 others wait already.
    """
    if _one_at_a_time.statistics().tasks_waiting >= _WAITING:
        raise TooBusy
    command = [sys.executable, "-I", str(_WORKER)]
    async with _one_at_a_time:
        try:
            with fail_after(_SECONDS):
                done = await run_process(command, input=data, check=False, env={})
        except TimeoutError:
            logger.warning("A picture of %d bytes took longer than %d seconds.", len(data), _SECONDS)
            raise NoPicture from None
    if done.returncode == _TOO_MANY_PIXELS:
        raise TooManyPixels
    if done.returncode != 0:
        if done.returncode != _NO_PICTURE:  # stopped by a limit, or broken
            logger.warning("A picture of %d bytes ended its process with code %d.", len(data), done.returncode)
        raise NoPicture
    return done.stdout
