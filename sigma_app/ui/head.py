"""What a page puts in its <head>: title, description, canonical address, share card, icons.

Absolute addresses are written with `public_address`; the serving layer puts the real one into the finished pages.
"""

from collections.abc import Callable
from typing import Any

import reflex as rx

from sigma_app.core.origin import PLACEHOLDER_ORIGIN

SHARE_IMAGE = "/og.png"
SHARE_IMAGE_ALT = "Sigma: from zero to CEO while you sleep."
STYLESHEETS = [
    f"styles/{name}.css"
    for name in (
        "base",
        "frame",
        "join",
        "night",
        "landing",
        "place",
        "arrival",
        "account",
        "portal",
        "billing",
        "console",
    )
]


def page(
    component: Callable[[], rx.Component],
    route: str,
    title: str,
    description: str,
    *,
    indexed: bool = True,
) -> dict[str, Any]:
    """The arguments of `app.add_page` for one page.

    Args:
        component: builds the page.
        route: as Reflex wants it: "/", "/join", or "404".
        title: the whole title, as a tab or a search result shows it.
        description: one or two sentences for search results and share cards.
        indexed: False keeps the page out of search engines and gives it no canonical address.
    """
    return {
        "component": component,
        "route": route,
        "title": title,
        "description": description,
        "image": SHARE_IMAGE if route == "404" else public_address(SHARE_IMAGE),  # Reflex wants plain text for a 404's
        "context": {"sitemap": {} if indexed else None},
        "meta": [
            {"name": "color-scheme", "content": "dark light"},
            _theme_color("dark", "#0f0f0f"),
            _theme_color("light", "#f3f6ee"),
            {"property": "og:type", "content": "website"},
            {"property": "og:site_name", "content": "Sigma"},
            {"property": "og:title", "content": title},
            {"property": "og:description", "content": description},
            {"property": "og:image:width", "content": "1200"},
            {"property": "og:image:height", "content": "630"},
            {"property": "og:image:alt", "content": SHARE_IMAGE_ALT},
            {"name": "twitter:card", "content": "summary_large_image"},
            *_address(route, indexed),
            rx.el.link(
                rel="preload",
                href="/fonts/familjen-grotesk.woff2",
                type="font/woff2",
                cross_origin="anonymous",
                custom_attrs={"as": "font"},
            ),
            rx.el.link(rel="icon", href="/favicon.ico", sizes="32x32"),
            rx.el.link(rel="icon", href="/favicon.svg", type="image/svg+xml"),
            rx.el.link(rel="apple-touch-icon", href="/apple-touch-icon.png"),
        ],
    }


def public_address(path: str) -> rx.Var[str]:
    """The absolute address of `path`: as a placeholder when the page is prerendered, and in the browser as the server
    filled it into the `<html>` tag. React, finding another in a `<meta>`, would add a second one."""
    origin = f"(typeof document === 'undefined' ? '{PLACEHOLDER_ORIGIN}' : document.documentElement.dataset.origin)"
    return rx.Var(f"{origin} + '{path}'").to(str)


def _theme_color(scheme: str, color: str) -> dict[str, Any]:
    media = {"media": f"(prefers-color-scheme: {scheme})"}
    return {"name": "theme-color", "content": color, "custom_attrs": media}


def _address(route: str, indexed: bool) -> list[Any]:
    if not indexed:
        return [{"name": "robots", "content": "noindex"}]
    address = public_address(route)
    return [{"property": "og:url", "content": address}, rx.el.link(rel="canonical", href=address)]
