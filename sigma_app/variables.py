"""What may be wrong with a variable of the environment, in words: a name, a value, a key in the other's place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import AnyHttpUrl, SecretStr

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

# Of variables whose value is never shown: an address may hold a password.
SECRET_ENDINGS = ("_KEY", "_SECRET", "_TOKEN", "_URL", "_DSN", "_HEADERS", "_ENDPOINT")

# Of Supabase's own servers, most of whose variables the stand-in does not know.
_OF_SUPABASE = ("GOTRUE_", "PGRST_", "STORAGE_")
# Where Sigma's variables begin that other programs hardly have a like of; PORT and HOST are like a good many.
_OF_SIGMA = ("SIGMA_", "DATABASE_", "VITE_SUPABASE_", "SUPABASE_", "STRIPE_", "RESEND_", "JOIN_LIMIT_", "VISIT_LIMIT_")
# How alike two names are (difflib's ratio): STRIPE_SECRETKEY and STRIPE_SECRET_KEY 0.97, SUPABASE_SERVICE_KEY and
# SUPABASE_SERVICE_ROLE_KEY 0.89, DATABASE_USER and DATABASE_URL 0.88, GOTRUE_JWT_SECRET and GOTRUE_JWT_EXP 0.77,
# STRIPE_API_KEY and STRIPE_SECRET_KEY 0.71.
_HARDLY_ANOTHER = 0.9
_PERHAPS_MEANT = 0.75

# What a number is that has a unit, by its field's last word.
_UNITS = {
    ("seconds", int): ("whole seconds without a unit", "such as 3600"),
    ("seconds", float): ("seconds without a unit", "such as 8 or 0.5"),
    ("bytes", int): ("bytes, a whole number without a unit", "such as 52428800"),
}


def unknown(environment: Iterable[str], known: set[str]) -> Iterator[str]:
    """A warning for each name that nobody but Sigma, or a server of Supabase's, can be meant with.

    Args:
        environment: names of this and other programs.
        known: every variable that Sigma reads.
    """
    for name in environment:
        if name.upper() in known or not name.upper().startswith(_OF_SIGMA + _OF_SUPABASE):
            continue
        if meant := _meant(name.upper(), known, _HARDLY_ANOTHER):
            yield f"{name}: not a variable that Sigma knows. Did you mean {meant}?"
        elif name.upper().startswith(_OF_SUPABASE):
            yield f"{name}: not a variable that Sigma knows; it changes nothing."


def explain(error: ErrorDetails, fields: Mapping[str, tuple[str, FieldInfo]]) -> str:
    """One of pydantic's errors as a sentence: the variable's name, what its value must be, and what it is.

    Args:
        error: it has the alias that pydantic knows the variable by.
        fields: by each variable's name, its field and that one's name, which ends in its unit where it has one.
    """
    name = str(error["loc"][0])
    if error["type"] == "extra_forbidden":
        return _explain_unknown(name.upper(), fields)  # pydantic-settings has it in small letters
    ours = error["type"] == "value_error"  # a validator's of settings.py
    reason = error["msg"].removeprefix("Value error, ") if ours else f"must be {must_be(*fields[name])}"
    shown = "" if name.endswith(SECRET_ENDINGS) else f" (is {error['input']!r})"
    return f"{name}: {reason}{shown}. Correct or remove it in the environment or in .env."


def must_be(name: str, field: FieldInfo) -> str:
    """What a value must be, by the type of its field and the bounds.

    Args:
        name: the field's.
        field: of one of the types that a setting has.
    """
    kind = _kind_of(field)
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    if get_origin(kind) is frozenset:
        (one,) = get_args(kind)
        return f"any of {', '.join(get_args(one))}, separated by commas"
    bounds = {
        bound: value
        for one in field.metadata
        for bound in ("ge", "gt", "le", "min_length")
        if (value := getattr(one, bound, None)) is not None
    }
    if kind is SecretStr:
        return f"at least {bounds['min_length']} characters long"
    if kind in (int, float):
        unit = name.rpartition("_")[2]
        what, *example = _UNITS.get((unit, kind), ("a whole number" if kind is int else "a number",))
        return ", ".join([what, *_between(**bounds), *example])
    return {bool: "on or off", AnyHttpUrl: "an address such as https://sigma.example.com"}[kind]


def _kind_of(field: FieldInfo) -> Any:
    """The type of a field's value where it has one."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)]
    return kinds[0] if isinstance(field.annotation, UnionType) else field.annotation


def _between(ge: float | None = None, gt: float | None = None, le: float | None = None) -> Iterator[str]:
    least = f"at least {ge}" if ge is not None else f"more than {gt}" if gt is not None else ""
    most = f"at most {le}" if le is not None else ""
    if least or most:
        yield " and ".join(filter(None, (least, most)))


def role_of(key: str) -> str | None:
    """Which role a key of Supabase's opens the API as, by what it says of itself; None for one that says nothing."""
    import jwt

    for beginning, role in (("sb_publishable_", "anon"), ("sb_secret_", "service_role")):
        if key.startswith(beginning):
            return role
    try:
        role = jwt.decode(key, options={"verify_signature": False}).get("role")
    except (jwt.InvalidTokenError, RecursionError):
        return None
    return role if isinstance(role, str) else None


def _explain_unknown(name: str, known: Iterable[str]) -> str:
    meant = _meant(name, known, _HARDLY_ANOTHER if name.startswith(_OF_SUPABASE) else _PERHAPS_MEANT)
    way_out = f"Did you mean {meant}?" if meant else "Remove it from .env, or turn it into a comment."
    return f"{name}: not a variable that Sigma knows. {way_out}"


def _meant(name: str, known: Iterable[str], alike: float) -> str | None:
    return next(iter(difflib.get_close_matches(name, known, 1, alike)), None)
