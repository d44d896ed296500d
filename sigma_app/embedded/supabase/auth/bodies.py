"""Reading what a request says, as strictly and as loosely as GoTrue does.

Of JSON, Go takes a body of the right types, names in any case, and `null` for "not given"; what it does not know it
passes over, and whatever Content-Type says does not matter.
"""

from __future__ import annotations

import json
import math
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from starlette.requests import ClientDisconnect, Request

from sigma_app.core.body import BodyTooLarge, read_body
from sigma_app.embedded.supabase import plain_json
from sigma_app.embedded.supabase.auth.errors import AuthError

_MOST = 1024 * 1024  # bytes


class Body(BaseModel):
    """What an endpoint reads of a JSON object; each field has the value that Go gives it when it is not there."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _as_go_reads(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {name.lower(): value for name, value in given.items() if value is not None}


B = TypeVar("B", bound=Body)


async def read(request: Request, shape: type[B], *, may_be_empty: bool = False) -> B:
    """The body of a request.

    Args:
        request: whose body was not read yet.
        shape: what it has to look like.
        may_be_empty: whether no body at all is as good as `{}`.

    Raises:
        AuthError: 400 `bad_json`, 413 `request_entity_too_large`.
    """
    try:
        body = await read_body(request, _MOST)
    except BodyTooLarge:
        raise AuthError(413, "request_entity_too_large", f"Request body too large (max {_MOST} bytes)") from None
    except ClientDisconnect:
        raise _bad("unexpected EOF") from None
    if may_be_empty and not body:
        return shape()
    given = _parse(body)
    try:
        return shape.model_validate({} if given is None else given)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise _bad(f"cannot unmarshal into {where}") from None


def asked(request: Request, name: str) -> str:
    """A parameter of the query string; of several the first, "" if there is none."""
    return next(iter(request.query_params.getlist(name)), "")


def _parse(body: bytes) -> dict[str, Any] | None:
    try:
        text, refuse = body.decode("utf-8", "replace"), plain_json.refuse_constant
        given = json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=refuse)
        if not isinstance(given, dict | None):
            raise _bad(f"cannot unmarshal {type(given).__name__} into object")
        if plain_json.is_too_deep(given):
            raise RecursionError
        return _without_lone_surrogates(given) if b"\\u" in body else given
    except RecursionError:
        raise _bad("exceeded max depth") from None
    except ValueError as error:
        raise _bad(str(error)) from None


def _without_lone_surrogates(given: Any) -> Any:
    """The same with U+FFFD for each half of a pair that stands alone, as Go reads it: no encoding can hold one."""
    text = json.dumps(given, ensure_ascii=False)
    return json.loads(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("cannot unmarshal a number beyond float64")
    return number


def _bad(reason: str) -> AuthError:
    return AuthError(400, "bad_json", f"Could not parse request body as JSON: {reason}")
