"""The grammar of PostgREST's parameters: fields, conditions, logic trees, orders, selections.

Each function reads one thing from a `Scanner` and leaves it behind what it read; PostgREST's own grammar is in its
source, ApiRequest/QueryParams.hs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sigma_app.embedded.supabase.rest.scanner import (
    FIELD,
    MOST_NESTED,
    WORDS,
    Scanner,
    Step,
    field_name,
    json_path,
    quoted_value,
)

QUANTIFIED = ("eq", "gte", "gt", "lte", "lt", "like", "ilike", "match", "imatch")
SIMPLE = ("neq", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj")

_QUANTIFIED = re.compile(rf"({'|'.join(QUANTIFIED)})(?:\((any|all)\))?\.")
_SIMPLE = re.compile(rf"({'|'.join(SIMPLE)})\.")
_FULL_TEXT = re.compile(r"(?:fts|plfts|phfts|wfts)(?:\([\w $]+\))?\.")  # operators that are not served
_TRILEAN = re.compile(r"null|not_null|true|false|unknown", re.IGNORECASE)
_GROUP = re.compile(r"[ \t]*(not\.)?(and|or)[ \t]*\([ \t]*")
_DIRECTION = re.compile(r"\.(asc|desc)")
_NULLS = re.compile(r"\.(nullsfirst|nullslast)")
_ALIAS = re.compile(r":(?!:)")
_COUNT = re.compile(r"\(\)(?:::[\w $]+)?")
_AGGREGATE = re.compile(r"\.(?:sum|avg|count|max|min)\(\)(?:::[\w $]+)?")
_JOIN = re.compile(r"(?:left|inner)(?![\w$])")


@dataclass(frozen=True)
class Operation:
    """What a filter asks of its field."""

    negated: bool
    name: str
    """Of QUANTIFIED or SIMPLE, or in, is, isdistinct."""
    value: str = ""
    values: Sequence[str] = ()
    """For in."""
    quantifier: str | None = None
    """any or all."""


@dataclass(frozen=True)
class Filter:
    """A condition on one field."""

    column: str
    path: Sequence[Step]
    operation: Operation


@dataclass(frozen=True)
class Group:
    """Conditions joined by `and` or `or`."""

    negated: bool
    operator: str
    members: Sequence[Tree]


Tree = Filter | Group


@dataclass(frozen=True)
class Order:
    """One term of an order; `relation` where it is that of an embedded resource."""

    column: str
    path: Sequence[Step]
    direction: str | None
    nulls: str | None
    relation: str | None = None


@dataclass(frozen=True)
class Selected:
    """One column of the answer; "*" stands for all."""

    column: str
    path: Sequence[Step] = ()
    cast: str | None = None
    alias: str | None = None
    aggregated: bool = False


@dataclass(frozen=True)
class Embed:
    """A related table within the answer."""

    name: str
    alias: str | None
    hint: str | None


def field_path(scanner: Scanner) -> tuple[Sequence[str], Sequence[Step]]:
    """A field behind the embedded resources that it is in: their names and its own, and its JSON path."""
    names = [field_name(scanner)]
    while scanner.take("."):
        names.append(field_name(scanner))
    return names, json_path(scanner)


def logic_path(scanner: Scanner) -> tuple[Sequence[str], str]:
    """`or`, `not.and`, `rel.or`…: the embedded resources it is in, and the operator."""
    names = [field_name(scanner)]
    while scanner.take("."):
        names.append(field_name(scanner))
    path = [name for name in names[:-1] if name != "not"]
    return path, f"not.{names[-1]}" if "not" in names else names[-1]


def columns(scanner: Scanner) -> Sequence[str]:
    """Names with commas between them, each once."""
    names = [field_name(scanner)]
    while _comma(scanner):
        names.append(field_name(scanner))
    return list(dict.fromkeys(names))


def condition(scanner: Scanner, *, inside: bool = False) -> Operation:
    """`not.eq.5`, `in.(1,2)`, `is.null`…; `inside` a logic tree `,` and `)` end a value."""
    start = scanner.at
    negated = scanner.take("not.")
    if scanner.take("in."):
        return Operation(negated, "in", values=_list(scanner))
    if scanner.take("is."):
        return Operation(negated, "is", _trilean(scanner))
    if scanner.take("isdistinct."):
        return Operation(negated, "isdistinct", _value(scanner, inside))
    if found := scanner.match(_QUANTIFIED):
        return Operation(negated, found[1], _value(scanner, inside), quantifier=found[2])
    if found := scanner.match(_SIMPLE):
        return Operation(negated, found[1], _value(scanner, inside))
    known = "operator (eq, gt, ...)"
    return scanner.fail(known if scanner.at > start else f'"not" or {known}', _furthest(scanner))


def has_operator(text: str) -> bool:
    """Whether a function's parameter is a filter on what it returns, rather than an argument."""
    return text.startswith(("not.", "in.", "is.", "isdistinct.")) or bool(
        _QUANTIFIED.match(text) or _SIMPLE.match(text) or _FULL_TEXT.match(text)
    )


def _furthest(scanner: Scanner) -> int:
    """Where an operator stopped being one."""
    length = max((len(name) for name in (*QUANTIFIED, *SIMPLE) if scanner.text.startswith(name, scanner.at)), default=0)
    return scanner.at + length


def _trilean(scanner: Scanner) -> str:
    found = scanner.match(_TRILEAN)
    if not found:
        scanner.fail("isVal: (null, not_null, true, false, unknown)")
    return found.group().lower()


def _value(scanner: Scanner, inside: bool) -> str:
    return _inner_value(scanner) if inside else scanner.rest()


def _inner_value(scanner: Scanner) -> str:
    start = scanner.at
    found = quoted_value(scanner)
    if found is not None and scanner.next in ("", ",", ")"):
        return found
    scanner.at = start
    if scanner.next == "{":  # an array's commas are its own
        end = scanner.text.find("}", start)
        if end > 0 and "{" not in scanner.text[start + 1 : end]:
            scanner.at = end + 1
            return scanner.text[start : scanner.at]
    return scanner.until(",)")


def _list(scanner: Scanner) -> Sequence[str]:
    scanner.skip_blanks()
    scanner.expect("(")
    scanner.skip_blanks()
    found = [_element(scanner)]
    while scanner.take(","):
        found.append(_element(scanner))
    scanner.skip_blanks()
    scanner.expect(")")
    scanner.skip_blanks()
    return found


def _element(scanner: Scanner) -> str:
    start = scanner.at
    found = quoted_value(scanner)
    if found is not None and scanner.next in ("", ",", ")"):
        return found
    scanner.at = start
    return scanner.until(",)")


def logic_tree(scanner: Scanner, depth: int = 0) -> Tree:
    """`and(a.eq.1,not.or(b.eq.2,c.is.null))`, or one condition of such a tree, `a.eq.1`."""
    group = scanner.match(_GROUP)
    if not group:
        return _leaf(scanner)
    if depth == MOST_NESTED:
        scanner.fail(f"at most {MOST_NESTED} levels", group.start())
    members = [logic_tree(scanner, depth + 1)]
    while _comma(scanner):
        members.append(logic_tree(scanner, depth + 1))
    scanner.skip_blanks()
    scanner.expect(")")
    scanner.skip_blanks()
    return Group(bool(group[1]), group[2], members)


def _leaf(scanner: Scanner) -> Filter:
    scanner.skip_blanks()
    if scanner.next in ("", "(", ")", ","):
        scanner.fail(f"{FIELD}, negation operator (not) or logic operator (and, or)")
    column, path = field_name(scanner), json_path(scanner)
    scanner.skip_blanks()
    if not scanner.take("."):
        scanner.fail("delimiter (.)")
    return Filter(column, path, condition(scanner, inside=True))


def ordering(scanner: Scanner) -> Sequence[Order]:
    """`a.desc.nullslast,b->>c`."""
    terms = [_term(scanner)]
    while _comma(scanner):
        terms.append(_term(scanner))
    return terms


def _term(scanner: Scanner) -> Order:
    scanner.skip_blanks()
    name, relation = field_name(scanner), None
    if scanner.take("("):
        relation, name = name, field_name(scanner)
    path = json_path(scanner)
    if relation:
        scanner.expect(")")
    scanner.skip_blanks()
    direction = scanner.match(_DIRECTION)
    nulls = scanner.match(_NULLS)
    scanner.skip_blanks()
    if scanner.next not in ("", ","):
        known = '"nullsfirst" or "nullslast"' if direction else '"asc", "desc", "nullsfirst" or "nullslast"'
        if scanner.next == "." and not nulls:
            scanner.fail(known, scanner.at + 1)
        scanner.fail('"," or end of input')
    return Order(name, path, direction and direction[1], nulls and nulls[1], relation)


def forest(scanner: Scanner, depth: int = 0) -> Sequence[Selected | Embed]:
    """`a,b:c::text,d->>e,*,rel(f)`; nothing at all, too."""
    if scanner.next in ("", ")"):
        return []
    items = [_selected(scanner, depth)]
    while _comma(scanner):
        items.append(_selected(scanner, depth))
    return items


def _selected(scanner: Scanner, depth: int) -> Selected | Embed:
    scanner.skip_blanks()
    if scanner.take("..."):
        return _embed(scanner, field_name(scanner), None, depth)
    if scanner.take("*"):
        return _ended(scanner, Selected("*"))
    name, alias = field_name(scanner), None
    if scanner.match(_ALIAS):
        alias = name
        scanner.skip_blanks()
        name = field_name(scanner)
    if name == "count" and scanner.match(_COUNT):
        return _ended(scanner, Selected("*", alias=alias, aggregated=True))
    if scanner.next in ("!", "(") and scanner.next:
        return _embed(scanner, name, alias, depth)
    path = json_path(scanner)
    scanner.skip_blanks()
    cast = None
    if scanner.take("::"):
        written = scanner.match(WORDS)
        if not written:
            scanner.fail("letter or digit")
        cast = written.group().strip()
    aggregated = scanner.match(_AGGREGATE) is not None
    return _ended(scanner, Selected(name, path, cast, alias, aggregated))


def _ended(scanner: Scanner, selected: Selected) -> Selected:
    scanner.skip_blanks()
    if scanner.next not in ("", ",", ")"):
        scanner.fail('letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input')
    return selected


def _embed(scanner: Scanner, name: str, alias: str | None, depth: int) -> Embed:
    hint = None
    for _ in range(2):
        if scanner.take("!") and not scanner.match(_JOIN):
            hint = hint or field_name(scanner)
    if depth == MOST_NESTED:
        scanner.fail(f"at most {MOST_NESTED} levels")
    scanner.expect("(")
    forest(scanner, depth + 1)
    scanner.expect(")")
    scanner.skip_blanks()
    return Embed(name, alias, hint)


def _comma(scanner: Scanner) -> bool:
    start = scanner.at
    scanner.skip_blanks()
    if scanner.take(","):
        scanner.skip_blanks()
        return True
    scanner.at = start
    return False
