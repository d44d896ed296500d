"""What the operating system, or Stripe, refused, in one line that says where, why and the way out."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sigma_app.core.errors import StartError
from sigma_app.settings import PROJECT_ROOT, get_settings

_BUILT = PROJECT_ROOT / ".sigma"
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_LITTLE = 1024 * 1024  # bytes; a disk with less left is taken for the full one


def explain(error: OSError) -> str | None:
    """One line for a person, or None where no file and no disk is to blame: that would be a bug of ours."""
    if error.filename is None and error.errno not in _DISK:
        return None
    reason = error.strerror or str(error)
    where = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes | Path) else None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        full = where or " or ".join(map(str, _full_places()))
        return f"{full}: {reason}. Free some space on that disk, or set SIGMA_DATA_DIR to another."
    if where is None:
        return f"{_data_dir()} or {_BUILT}: {reason}. Sigma must be able to write there."
    if _concerns(where, _data_dir()) and _data_dir() != _BUILT:
        return f"SIGMA_DATA_DIR: {where}: {reason}. Set it to a directory that Sigma may write, or remove it."
    if _concerns(where, _BUILT):
        return f"{where}: {reason}. Sigma keeps what it makes in {_BUILT}: it must be a directory that it may write."
    return f"{where}: {reason}. Sigma needs it: correct that, then try again."


def _concerns(where: Path, place: Path) -> bool:
    """Whether `where` is `place`, lies in it, or is in its way."""
    where, place = Path(os.path.abspath(where)), Path(os.path.abspath(place))
    return where.is_relative_to(place) or place.is_relative_to(where)


def _data_dir() -> Path:
    return get_settings().data_dir


def _full_places() -> list[Path]:
    """Which of the disks that Sigma writes to is full; both, where that does not show (a quota)."""
    places = list(dict.fromkeys([_data_dir(), _BUILT]))
    return [place for place in places if _free(place) < _LITTLE] or places


def _free(place: Path) -> int:
    there = next(path for path in (place, *place.parents) if os.path.exists(path))  # False too where we may not look
    return shutil.disk_usage(there).free


@contextmanager
def stripe_answers(otherwise: str) -> Iterator[None]:
    """Say in a line that Stripe did not answer, or refused, and what follows from that."""
    from sigma_app.gateways.payments import PaymentsRefused, PaymentsUnavailable

    try:
        yield
    except PaymentsUnavailable:
        raise StartError(f"Stripe does not answer, or not to this STRIPE_SECRET_KEY. {otherwise}") from None
    except PaymentsRefused as refused:
        what = " ".join(filter(None, (refused.code, refused.param)))
        raise StartError(f"Stripe refused: {what or 'without a reason'}. {otherwise}") from None
