"""Small scripts that are part of a page: a file of their own would be one more request before the first paint."""

from pathlib import Path

import reflex as rx


def inline_script(path: Path) -> rx.Component:
    """The script at `path`, without its comment lines and indentation."""
    lines = path.read_text(encoding="utf-8").splitlines()
    code = "\n".join(stripped for line in lines if (stripped := line.strip()) and not stripped.startswith("//"))
    return rx.el.script(custom_attrs={"dangerouslySetInnerHTML": {"__html": code}})
