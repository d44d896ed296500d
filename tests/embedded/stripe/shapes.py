"""Whether an object has the shape that Stripe publishes for it.

Stripe generates the SDK's classes from its OpenAPI description, so they are what is compared with: every field that is
not optional must be there, each value must be of the declared type, a text with listed values must be one of them, and
what no class declares must not be there.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import typing
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, ForwardRef, Literal

from stripe import ListObject, StripeObject
from stripe._object_classes import OBJECT_CLASSES
from stripe._stripe_object import UntypedStripeObject

_DELETED = {"id", "object", "deleted"}
_LIST = {"object": str, "url": str, "has_more": bool, "data": list}


def problems(thing: Any, path: str = "") -> list[str]:
    """What is wrong with an object or a list of them; nothing if it is as published."""
    if not isinstance(thing, dict) or "object" not in thing:
        return [f"{path}: is no object"]
    if thing.get("deleted"):
        return [] if thing.keys() == _DELETED else [f"{path}: says more than that it is deleted"]
    if thing["object"] == "list":
        inside = (it for number, one in enumerate(thing["data"]) for it in problems(one, f"{path}[{number}]"))
        return [*_of_list(thing, path), *inside]
    if thing["object"] not in OBJECT_CLASSES:
        return [f"{path}: there is no {thing['object']}"]
    module, name = OBJECT_CLASSES[thing["object"]]
    return list(_of_class(thing, getattr(importlib.import_module(module), name), path or thing["object"]))


def _of_list(thing: dict[str, Any], path: str) -> list[str]:
    wrong = [name for name, kind in _LIST.items() if not isinstance(thing.get(name), kind)]
    return [f"{path}.{name}: no {_LIST[name].__name__}" for name in wrong]


def _of_class(thing: dict[str, Any], cls: type, path: str) -> Iterator[str]:
    if thing.get("deleted") and thing.keys() == _DELETED:
        return
    fields = _fields(cls)
    for name in thing.keys() - fields.keys():
        yield f"{path}.{name}: is not declared"
    for name, kind in fields.items():
        if name in thing:
            yield from _of_type(thing[name], kind, f"{path}.{name}")
        elif NoneType not in _choices(kind):
            yield f"{path}.{name}: is missing"


def _of_type(value: Any, kind: Any, path: str) -> Iterator[str]:
    found = [list(_of_one(value, choice, path)) for choice in _strict(_choices(kind))]
    if all(found):
        yield from min(found, key=lambda complaints: (sum("no " in one for one in complaints), len(complaints)))


def _of_one(value: Any, kind: Any, path: str) -> Iterator[str]:
    """Complaints about a value as one of the types that it may have."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any or (kind is NoneType and value is None):
        return
    if origin is Literal:
        if value not in args:
            yield f"{path}: {value!r} is no value of {sorted(map(str, args))}"
    elif origin in (list, ListObject):
        if origin is ListObject and not isinstance(value, list):
            yield from _of_list(value, path) if isinstance(value, dict) else [f"{path}: no list"]
            value = value.get("data") if isinstance(value, dict) else None
        if isinstance(value, list):
            for number, one in enumerate(value):
                yield from _of_type(one, args[0], f"{path}[{number}]")
        else:
            yield f"{path}: no list"
    elif origin in (dict, UntypedStripeObject) or kind is UntypedStripeObject:
        if not isinstance(value, dict):
            yield f"{path}: no dictionary"
    elif inspect.isclass(kind) and issubclass(kind, StripeObject):
        yield from _of_class(value, kind, path) if isinstance(value, dict) else [f"{path}: no {kind.__name__}"]
    elif not _is_simple(value, kind):
        yield f"{path}: {value!r} is no {kind}"


def _is_simple(value: Any, kind: Any) -> bool:
    accepted = {Decimal: str, float: (int, float), int: int, str: str, bool: bool}.get(kind, ())
    return isinstance(value, accepted) and (kind is bool or not isinstance(value, bool))


def _choices(kind: Any) -> tuple[Any, ...]:
    if typing.get_origin(kind) in (typing.Union, UnionType):
        return tuple(choice for part in typing.get_args(kind) for choice in _choices(part))
    return (kind,)


def _strict(choices: tuple[Any, ...]) -> tuple[Any, ...]:
    """The choices without the text that the SDK allows beside the listed ones, for values that are yet to come."""
    has_listed = any(typing.get_origin(choice) is Literal for choice in choices)
    return tuple(choice for choice in choices if not (has_listed and choice is str))


@lru_cache
def _fields(cls: type) -> dict[str, Any]:
    names = _names(cls.__module__)
    declared = {
        name: kind
        for base in reversed(cls.__mro__)
        if issubclass(base, StripeObject) and base is not StripeObject
        for name, kind in inspect.get_annotations(base).items()
        if not name.startswith("_") and name != "OBJECT_NAME"
    }
    return {name: _resolved(kind, names) for name, kind in declared.items()}


def _resolved(kind: Any, names: dict[str, str]) -> Any:
    """A type with the classes in it that it only names."""
    name = kind if isinstance(kind, str) else kind.__forward_arg__ if isinstance(kind, ForwardRef) else None
    if name is not None:
        module, _, attribute = names[name].rpartition(":")
        return getattr(importlib.import_module(module), attribute)
    args = typing.get_args(kind)
    if not args or typing.get_origin(kind) is Literal:
        return kind
    resolved = tuple(_resolved(arg, names) for arg in args)
    origin: Any = typing.get_origin(kind)
    return typing.Union[resolved] if origin is typing.Union else origin[resolved]  # noqa: UP007


@lru_cache
def _names(module: str) -> dict[str, str]:
    """What a module of the SDK imports for the sake of types, and what it defines: where it is, by its name there."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    found = {node.name: f"{module}:{node.name}" for node in tree.body if isinstance(node, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {one.asname or one.name: f"{node.module}:{one.name}" for one in node.names}
    return found
