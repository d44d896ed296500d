"""The script by which a public page counts that somebody arrived; what counts says visit.js."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import reflex as rx

from sigma_app.features.growth.service import PAGES
from sigma_app.ui.script import inline_script

_ROUTES = {*PAGES, "/templates/pricing"}  # which the server fills in and shows at /pricing


def with_visit(page: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `app.add_page`, for the same page with the script where visits of it are counted."""
    if page["route"] not in _ROUTES:
        return page
    component: Callable[[], rx.Component] = page["component"]
    return page | {"component": lambda: rx.fragment(component(), inline_script(Path(__file__).parent / "visit.js"))}
