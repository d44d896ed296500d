"""Media types: what a request accepts, what it sends, and the name of what it gets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sigma_app.embedded.supabase.rest.errors import not_acceptable

_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([\w|.-]+))')
_QUALITY = re.compile(r";\s*q\s*=\s*([0-9.]+)", re.IGNORECASE)
_TYPE = re.compile(r'(?:"[^"]*"|[^,"]|"(?=[^"]*\Z))+')  # up to a comma outside of quotes; the last may stay open


@dataclass(frozen=True)
class Form:
    """In which form rows go out."""

    kind: str
    """array, object or csv."""
    stripped: bool
    """Whether members that are null are left out."""
    name: str

    @property
    def header(self) -> str:
        """The Content-Type."""
        return f"{self.name}; charset=utf-8"


ARRAY = Form("array", False, "application/json")
CSV = Form("csv", False, "text/csv")
_STRIPPED = Form("array", True, "application/vnd.pgrst.array+json;nulls=stripped")
_OBJECT = Form("object", False, "application/vnd.pgrst.object+json")
_STRIPPED_OBJECT = Form("object", True, "application/vnd.pgrst.object+json;nulls=stripped")


def accepted(header: str | None) -> Sequence[str]:
    """The media types of an Accept header, the most wanted first."""
    if not header:
        return ["*/*"]
    if "," not in header and ";" not in header:
        return [header.strip()]
    return sorted((part.strip() for part in _TYPE.findall(header) if part.strip()), key=_reluctance)


def form(types: Sequence[str]) -> Form:
    """The first of these in which rows can go out.

    Raises:
        Refusal: PGRST107, none of them.
    """
    for written in types:
        if found := _form(written):
            return found
    raise not_acceptable([_QUALITY.sub("", written) for written in types])


def _form(written: str) -> Form | None:
    name = written.partition(";")[0].strip().lower()
    if name in ("*/*", "application/json"):
        return ARRAY
    if name == "text/csv":
        return CSV
    if name in ("application/vnd.pgrst.object+json", "application/vnd.pgrst.object"):
        return _STRIPPED_OBJECT if _is_stripped(written) else _OBJECT
    if name in ("application/vnd.pgrst.array+json", "application/vnd.pgrst.array"):
        return _STRIPPED if _is_stripped(written) else ARRAY
    return None


def _is_stripped(written: str) -> bool:
    parameters = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(written)}
    return parameters.get("nulls") == "stripped"


def _reluctance(written: str) -> float:
    quality = _QUALITY.search(written)
    try:
        return -float(quality[1]) if quality else -1.0
    except ValueError:
        return 0.0


def sent(header: str | None) -> str:
    """The media type of a body, in small letters and without parameters."""
    return (header or "application/json").partition(";")[0].strip().lower()
