"""Places in an exported page that the server fills in: the page is a Jinja2 template (frontend/templates.py).

A mark has to be one piece of text or one whole attribute, since React separates neighbouring texts by a comment.
"""

import reflex as rx

from sigma_app.core.marks import CLOSE, OPEN


def slot(name: str) -> str:
    """Where the value `name`, or that of another expression, goes; as text or in an attribute."""
    return f"{OPEN} {name} {CLOSE}"


def number(name: str) -> str:
    """The number `name` as it is written in running text, such as 1,284."""
    return slot(f"'{{:,}}'.format({name})")


def plural(name: str, one: str, many: str) -> str:
    """`one` where the number `name` is 1, else `many`."""
    return slot(f"'{one}' if {name} == 1 else '{many}'")


def either(condition: str, text: str, other: str) -> str:
    """`text` where `condition`, an expression, holds, else `other`."""
    return f"{OPEN}% if {condition} %{CLOSE}{text}{OPEN}% else %{CLOSE}{other}{OPEN}% endif %{CLOSE}"


def when(condition: str, *children: rx.Component | str) -> rx.Component:
    """`children` where `condition`, an expression such as "state == 'valid'", holds; nothing where it does not."""
    return rx.fragment(f"{OPEN}% if {condition} %{CLOSE}", *children, f"{OPEN}% endif %{CLOSE}")
