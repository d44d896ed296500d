"""Stripe's form encoding: names with brackets for what is nested (https://docs.stripe.com/api, "Authentication" on).

`items[0][price]=p&expand[]=a&metadata[k]=v` is `{"items": [{"price": "p"}], "expand": ["a"], "metadata": {"k": "v"}}`.
Values stay texts; whoever reads them knows what they are, and has `whole` and `flag` for that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from sigma_app.embedded.stripe.errors import Refused, invalid

_PARTS = re.compile(r"\[([^\[\]]*)\]")


def decode(encoded: str) -> dict[str, Any]:
    """What a form or a query holds.

    Raises:
        Refused: a name is neither simple nor bracketed as it should be.
    """
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        head, bracket, rest = name.partition("[")
        path = [head, *_PARTS.findall(bracket + rest)]
        if not head or "".join(f"[{part}]" for part in path[1:]) != bracket + rest:
            raise invalid(name, f"Invalid parameter name: {name}")
        _put(tree, path, value)
    return _lists(tree)


def whole(params: Mapping[str, Any], name: str, default: int | None = None) -> int | None:
    """A parameter that is a whole number.

    Raises:
        Refused: it is none.
    """
    value = params.get(name)
    if value is None or value == "":
        return default
    try:
        return int(value)
    except (ValueError, TypeError):
        raise invalid(name, f"Invalid integer: {value}") from None


def flag(params: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """A parameter that is true or false.

    Raises:
        Refused: it is neither.
    """
    value = params.get(name)
    if value is None:
        return default
    if value not in ("true", "false"):
        raise invalid(name, f"Invalid boolean: {value}")
    return value == "true"


def merged(metadata: Mapping[str, str], params: Mapping[str, Any]) -> dict[str, str]:
    """Metadata with what a request changes of it; an empty value takes a key away, an empty text all of them."""
    given = params.get("metadata", {})
    if not isinstance(given, dict):
        if given:
            raise invalid("metadata", "Invalid object")
        return {}
    return {name: value for name, value in {**metadata, **given}.items() if value != ""}


def refuse_unknown(params: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse parameters that the call does not have, as Stripe does: a typo must not pass.

    Raises:
        Refused: there is one.
    """
    for name in params:
        if name not in known:
            raise Refused(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


def _put(tree: dict[str, Any], path: list[str], value: str) -> None:
    for part in path[:-1]:
        below = tree.setdefault(part or str(len(tree)), {})
        if not isinstance(below, dict):
            raise invalid(path[0], f"Invalid object: {path[0]}")
        tree = below
    tree[path[-1] or str(len(tree))] = value


def _lists(tree: Any) -> Any:
    """Objects whose names are 0, 1, 2 and so on are lists."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(name == str(place) for place, name in enumerate(tree)):
        return [_lists(value) for value in tree.values()]
    return {name: _lists(value) for name, value in tree.items()}
