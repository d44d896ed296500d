"""The Prefer header (RFC 7240): what of it is understood, and what the answer says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_KNOWN = {
    "resolution": ("merge-duplicates", "ignore-duplicates"),
    "missing": ("default", "null"),
    "return": ("representation", "minimal", "headers-only"),
    "count": ("exact", "planned", "estimated"),
    "tx": ("commit", "rollback"),  # understood, and not allowed: as on a hosted project, what is written stays
    "handling": ("strict", "lenient"),
}
_UPDATING, _DELETING, _CALLING = "PATCH", "DELETE", "rpc"


@dataclass(frozen=True)
class Preferences:
    """What a request prefers; None where it does not say."""

    resolution: str | None = None
    missing: str | None = None
    returning: str | None = None
    count: str | None = None
    handling: str | None = None
    timezone: str | None = None
    max_affected: int | None = None
    unknown: Sequence[str] = ()

    @property
    def strict(self) -> bool:
        """Whether what is not understood is an error."""
        return self.handling == "strict"

    @property
    def represents(self) -> bool:
        """Whether rows that were written are wanted back."""
        return self.returning == "representation"

    @property
    def returns_something(self) -> bool:
        """Whether rows that were written are read, which needs the right to."""
        return self.returning in ("representation", "headers-only")

    @property
    def most_affected(self) -> int | None:
        """The rows that may be touched, where that is to be held."""
        return self.max_affected if self.strict else None

    def applied(self, action: str, *, with_resolution: bool = False) -> str | None:
        """The Preference-Applied header, in PostgREST's order; None where nothing was preferred.

        Args:
            action: the method on a table, or "rpc".
            with_resolution: whether there is something by which duplicates are told.
        """
        writing = action not in ("GET", "HEAD", _CALLING)
        said = [
            ("resolution", self.resolution if action == "POST" and with_resolution else None),
            ("missing", self.missing if action in ("POST", _UPDATING) else None),
            ("return", self.returning if writing else None),
            ("count", self.count),
            ("handling", self.handling),
            ("timezone", self.timezone),
            ("max-affected", self.most_affected if action in (_UPDATING, _DELETING, _CALLING) else None),
        ]
        return ", ".join(f"{name}={value}" for name, value in said if value is not None) or None


NONE = Preferences()


def read(headers: Sequence[str]) -> Preferences:
    """The preferences of all Prefer headers; of one that is said twice, the first counts."""
    if not headers:
        return NONE
    found: dict[str, str] = {}
    unknown = []
    for preference in (part.strip() for header in headers for part in header.split(",")):
        name, _, value = preference.partition("=")
        if value in _KNOWN.get(name, ()) or name in ("timezone", "max-affected"):
            found.setdefault(name, value)
        else:
            unknown.append(preference)
    most = found.get("max-affected", "")
    return Preferences(
        resolution=found.get("resolution"),
        missing=found.get("missing"),
        returning=found.get("return"),
        count=found.get("count"),
        handling=found.get("handling"),
        timezone=found.get("timezone"),
        max_affected=int(most) if most.isascii() and most.isdigit() and len(most) < 19 else None,
        unknown=unknown,
    )
