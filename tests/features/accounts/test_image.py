"""What becomes of an upload: a small square of its pixels, and nothing else of it, whatever it is."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from subprocess import CompletedProcess
from typing import Any

import anyio
import pytest
from PIL import Image

from sigma_app.features.accounts import image
from sigma_app.features.accounts.image import NoPicture, TooBusy, TooManyPixels, square_webp

pytestmark = pytest.mark.anyio

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
ORIENTATION, GPS = 0x0112, 0x8825


def saved(picture: Image.Image, kind: str, **options) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def stripes(width: int, height: int) -> Image.Image:
    """Red, green and blue, from left to right."""
    picture = Image.new("RGB", (width, height))
    for number, colour in enumerate((RED, GREEN, BLUE)):
        picture.paste(colour, (number * width // 3, 0, (number + 1) * width // 3, height))
    return picture


async def made_of(data: bytes) -> Image.Image:
    made = Image.open(BytesIO(await square_webp(data)))
    assert made.format == "WEBP"
    return made


def is_about(pixel, colour: tuple[int, ...]) -> bool:
    return all(abs(found - wanted) < 40 for found, wanted in zip(pixel, colour, strict=False))


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is that large, in a few bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
async def test_the_middle_becomes_a_square(kind: str):
    made = await made_of(saved(stripes(3000, 1000), kind))
    assert made.size == (512, 512)
    assert is_about(made.convert("RGB").getpixel((256, 256)), GREEN)
    assert is_about(made.convert("RGB").getpixel((5, 5)), GREEN)  # red and blue are cut off


async def test_a_small_one_stays_small():
    assert (await made_of(saved(stripes(20, 30), "PNG"))).size == (20, 20)


@pytest.mark.parametrize(("width", "height"), [(20_000, 600), (1, 5000), (1, 1)])
async def test_of_a_long_one_the_short_side_counts(width: int, height: int):
    side = min(width, height, 512)
    assert (await made_of(saved(Image.new("RGB", (width, height)), "PNG"))).size == (side, side)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("scale", [1, 10])
async def test_what_a_camera_held_sideways_is_turned_upright(kind: str, scale: int):
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # turn it by 90° to the right to see it
    picture = Image.new("RGB", (300 * scale, 300 * scale), BLUE)
    picture.paste(RED, (0, 0, 150 * scale, 300 * scale))  # the left half becomes the upper one
    made = (await made_of(saved(picture, kind, exif=exif))).convert("RGB")
    assert is_about(made.getpixel((made.width // 2, 20)), RED)
    assert is_about(made.getpixel((made.width // 2, made.height - 20)), BLUE)


async def test_nothing_but_pixels_is_left():
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    exif.get_ifd(GPS)[1] = "N"
    data = saved(stripes(60, 60), "JPEG", exif=exif, comment=b"taken at home", icc_profile=b"taken at home")
    data += b"<script>taken at home</script>"
    assert data.count(b"taken at home") == 4
    made = await square_webp(data)
    assert b"taken at home" not in made
    opened = Image.open(BytesIO(made))
    assert not opened.getexif()
    assert not {"exif", "xmp", "icc_profile", "comment"} & set(opened.info)


async def test_what_is_transparent_stays_so():
    picture = Image.new("RGBA", (60, 60), (255, 0, 0, 0))
    for data in (saved(picture, "PNG"), saved(picture, "WEBP", lossless=True), saved(picture, "GIF")):
        assert (await made_of(data)).convert("RGBA").getpixel((30, 30))[3] == 0  # pyright: ignore[reportIndexIssue, reportOptionalSubscript]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16", "YCbCr"])
@pytest.mark.parametrize("side", [60, 3000])
async def test_every_kind_of_colour_is_read(mode: str, side: int):
    grey = Image.new("L", (side, side), 200)
    picture = Image.new("I;16", (side, side), 200 * 256) if mode == "I;16" else grey.convert("RGB").convert(mode)
    made = await made_of(saved(picture, "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"))
    assert is_about(made.convert("RGB").resize((1, 1)).getpixel((0, 0)), (200, 200, 200))


async def test_of_an_animation_the_first_frame_counts():
    frames = [Image.new("RGB", (60, 60), colour) for colour in (RED, BLUE)]
    made = await made_of(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert is_about(made.convert("RGB").getpixel((30, 30)), RED)
    assert getattr(made, "n_frames", 1) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"junk",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<!doctype html><script>alert(1)</script>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        saved(stripes(60, 60), "BMP"),
        saved(stripes(60, 60), "TIFF"),
        saved(stripes(60, 60), "JPEG")[:200],
        saved(stripes(600, 600), "PNG")[:-300],
        b"GIF89a<script>alert(1)</script>",
    ],
    ids=["nothing", "junk", "svg", "html", "pdf", "eps", "bmp", "tiff", "half a jpeg", "half a png", "polyglot"],
)
async def test_what_is_no_picture_is_refused(data: bytes):
    with pytest.raises(NoPicture) as refused:
        await square_webp(data)
    assert type(refused.value) is NoPicture


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (24_000_001, 1), (2**31 - 1, 2**31 - 1)])
async def test_too_many_pixels_are_refused_before_one_is_read(width: int, height: int):
    with pytest.raises(TooManyPixels):
        await square_webp(bomb(width, height))


async def test_a_photograph_in_many_passes_is_read_and_one_in_hundreds_is_refused():
    photograph = saved(Image.effect_noise((400, 400), 90).convert("RGB"), "JPEG", progressive=True)
    assert photograph.count(b"\xff\xda") > 5
    assert (await made_of(photograph)).size == (400, 400)
    last = photograph.rindex(b"\xff\xda")
    scan = photograph[last:-2]
    with pytest.raises(NoPicture):
        await square_webp(photograph[:-2] + scan * 60 + photograph[-2:])


async def test_one_that_takes_too_long_is_given_up_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch):
    data = saved(stripes(60, 60), "PNG")
    monkeypatch.setattr(image, "_SECONDS", 0.001)
    with pytest.raises(NoPicture):
        await square_webp(data)
    monkeypatch.undo()
    assert await square_webp(data)


async def test_several_at_once_wait_for_each_other(monkeypatch: pytest.MonkeyPatch):
    at_work: list[int] = []
    now = 0

    async def counted(command: list[str], **options: Any) -> CompletedProcess[bytes]:
        nonlocal now
        now += 1
        at_work.append(now)
        try:
            return await anyio.run_process(command, **options)
        finally:
            now -= 1

    monkeypatch.setattr(image, "run_process", counted)
    data = saved(stripes(60, 60), "PNG")
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(square_webp, data)
    assert at_work == [1, 1, 1]


async def test_one_too_many_is_asked_to_come_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(image, "_WAITING", 0)
    with pytest.raises(TooBusy):
        await square_webp(saved(stripes(60, 60), "PNG"))


async def test_a_worker_that_is_killed_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    async def killed(command: list[str], **_: object) -> CompletedProcess[bytes]:
        return CompletedProcess(command, -9, b"", b"")

    monkeypatch.setattr(image, "run_process", killed)
    with pytest.raises(NoPicture):
        await square_webp(b"12345")
    assert "A picture of 5 bytes ended its process with code -9." in caplog.messages
