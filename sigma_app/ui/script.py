"""Small scripts that are part of a page: a file of their own would be one more request before the first paint."""

from pathlib import Path
from typing import Literal

import reflex as rx

_HERE = Path(__file__).parent


def forms_script() -> rx.Component:
    """For pages with a `door_form`: posts it without leaving the page."""
    return inline_script(_HERE / "forms.js")


def on_the_list(standing: Literal["confirmed", "left"]) -> rx.Component:
    """For a page that says what has become of somebody's place on the list: the landing page then says so as well."""
    script = inline_script(_HERE / "on_the_list.js")
    return rx.el.div(script, hidden=True, custom_attrs={"data-standing": standing})


def inline_script(path: Path) -> rx.Component:
    """The script at `path`, without its comment lines and indentation."""
    lines = path.read_text(encoding="utf-8").splitlines()
    code = "\n".join(stripped for line in lines if (stripped := line.strip()) and not stripped.startswith("//"))
    return rx.el.script(custom_attrs={"dangerouslySetInnerHTML": {"__html": code}})
