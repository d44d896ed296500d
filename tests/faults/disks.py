"""A small disk of a scenario's own, and filling it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[None]:
    """Have a disk of this size at `place` inside the block, with what was there before."""
    if os.geteuid() != 0:
        pytest.skip("a disk of one's own to fill is mounted by root only")
    place.mkdir(parents=True, exist_ok=True)
    before = place.with_name(f"{place.name}.before")
    place.rename(before)
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", str(place)]
    try:
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("this machine lets nobody mount")
        try:
            subprocess.run(["cp", "-a", f"{before}/.", str(place)], check=True)
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
    finally:
        shutil.rmtree(before)


@contextmanager
def full(place: Path) -> Iterator[None]:
    """Fill the disk that `place` is on to its last byte, inside the block."""
    filler = place / "filler"
    handle = os.open(filler, os.O_CREAT | os.O_WRONLY)
    try:
        size = 1 << 20
        while size:
            try:
                os.write(handle, bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size >>= 1
        yield
    finally:
        os.close(handle)
        with suppress(FileNotFoundError):
            filler.unlink()
