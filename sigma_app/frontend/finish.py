"""The last build step: makes exported pages paint before any script loads, and free of any address.

Reflex exports each page with its stylesheet and ten module preloads in front of the first paint. Measured on a
throttled phone, the preloads were what held the paint back (docs/decisions/0004-finishing-the-pages.md). So each page:

- carries its stylesheet inline; the `<link>` stays, as `media="print"`, because React compares the document with its
  own idea of it and gives up hydrating without it (React error 418);
- starts its modules after `load`, or at the visitor's first interaction if that comes earlier.

Pages marked `data-socket="on-demand"` open their websocket at the first event, not on arrival; every page finds the
backend at its own origin. Everything here expects the exact shape that the pinned Reflex exports, and raises
`ShapeChanged` when it finds another: an upgrade must look here, not guess.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

from reflex.plugins import Plugin

from sigma_app.core.origin import PLACEHOLDER_ORIGIN

_STYLESHEET_PRELOAD = re.compile(r'<link as="style" href="(?P<href>[^"]+\.css)" rel="preload"/>')
_STYLESHEET = re.compile(r'<link href="(?P<href>/[^"]+\.css)" rel="stylesheet" type="text/css"/>')
_RELATIVE_URL = re.compile(r"url\([\"']?(?!/|data:|#)")
_MODULE_PRELOAD = re.compile(r'<link rel="modulepreload" href="(?P<href>/assets/[^"]+)"/>')
_MODULES = re.compile(
    r'<script type="module" async="">import "(?P<manifest>[^"]+)";\n'
    r"(?P<routes>(?:import \* as route\d+ from \"[^\"]+\";\n)+)\s*"
    r"window\.__reactRouterRouteModules = (?P<table>\{[^}]+\});\n\s*"
    r'import\("(?P<entry>[^"]+)"\);</script>'
)
_ROUTE = re.compile(r'import \* as route(\d+) from "([^"]+)";')
_STARTER = re.compile(r"<script>\(\(\) => \{\n  let started = false;.*?</script>", re.DOTALL)

# The client's runtime, before it is bundled, so that the hashes in file names cover the change. It connects when it
# mounts, and warms the transport up before that: two places to make conditional. A third asks where the backend is,
# which is wherever the page came from.
_ON_DEMAND = "document.querySelector('[data-socket=\"on-demand\"]')"
_RUNTIME = {
    "    mounted.current = true;\n    ensureSocketConnected();\n": (
        f"    mounted.current = true;\n    if (!{_ON_DEMAND}) ensureSocketConnected();\n"
    ),
    "      socketStarted ||\n      Object.keys(": f"      socketStarted || {_ON_DEMAND} ||\n      Object.keys(",
    "  const endpoint = new URL(url_str);\n": f"""\
  const endpoint = new URL(url_str);
  if (endpoint.origin.endsWith("{PLACEHOLDER_ORIGIN.partition(":")[2]}")) {{
    const socket = endpoint.protocol.startsWith("ws");
    return new URL(endpoint.pathname, socket ? location.origin.replace("http", "ws") : location.origin);
  }}
""",
}

# The page decides when hydration starts: a second after everything has loaded, when the browser is idle and even a slow
# phone has painted, or at once when the visitor touches the page, or where the page says so because it shows nothing
# without. The forms work before. The preloads then fetch the
# whole module graph in parallel instead of level by level. Where a browser lets pages store nothing, Reflex's runtime
# would end in an error page, and so does not start.
_START_MODULES = """\
(() => {
  let started = false;
  const events = ["pointerdown", "keydown", "focusin", "touchstart"];
  const storing = () => {
    try {
      return localStorage && sessionStorage;
    } catch {
      return false;
    }
  };
  const start = () => {
    if (started || !storing()) return;
    started = true;
    for (const event of events) removeEventListener(event, start);
    for (const href of PRELOADS) {
      const link = document.createElement("link");
      link.rel = "modulepreload";
      link.href = href;
      document.head.append(link);
    }
    Promise.all(MODULES.map((href) => import(href))).then(([, ...routes]) => {
      window.__reactRouterRouteModules = TABLE;
      import(ENTRY);
    });
  };
  for (const event of events) addEventListener(event, start, { passive: true });
  if (document.querySelector('[data-start="now"]')) return start();
  const idle = () => (window.requestIdleCallback ? requestIdleCallback(start) : start());
  const later = () => setTimeout(idle, 1000);
  document.readyState === "complete" ? later() : addEventListener("load", later);
})();"""


class ShapeChanged(Exception):
    """Reflex exported something this step does not know; see sigma_app/frontend/finish.py."""


class FinishPages(Plugin):
    """Reflex plugin: prepares the client before it is bundled and finishes the pages after they are exported."""

    def pre_compile(self, **context) -> None:
        """Adapt the client's runtime; `make dev`, whose backend has an address of its own, is not affected by that."""
        context["add_modify_task"]("utils/state.js", adapt_runtime)

    def post_build(self, **context) -> None:
        """Finish every page of the export in place."""
        finish(context["static_dir"])


def adapt_runtime(state_js: str) -> str:
    """The client's runtime, connecting on demand and to the page's own origin.

    Raises:
        ShapeChanged: the pinned lines are not there exactly once.
    """
    for pinned, adapted in _RUNTIME.items():
        if adapted in state_js:  # compiled before
            continue
        _expect(state_js.count(pinned) == 1, "a line of state.js that connects to the backend")
        state_js = state_js.replace(pinned, adapted)
    return state_js


def finish(directory: Path) -> None:
    """Finish every exported page under `directory`.

    Raises:
        ShapeChanged: a page or chunk is not as the pinned Reflex exports it.
    """
    for page in sorted(directory.rglob("*.html")):
        html = finish_page(page.read_text(encoding="utf-8"), directory, page.name)
        page.write_text(html, encoding="utf-8")


def finish_page(html: str, directory: Path, name: str) -> str:
    """One page, finished.

    Args:
        html: the page as exported.
        directory: where its stylesheet is found, by the path in its link.
        name: the page's file name, for errors.
    """
    stylesheets = _STYLESHEET.findall(html)
    _expect(len(stylesheets) == 1, f"the one stylesheet link of {name}")
    css = (directory / stylesheets[0].lstrip("/")).read_text(encoding="utf-8")
    _expect("</style" not in css and not _RELATIVE_URL.search(css), "a stylesheet that means the same inlined")
    html = _STYLESHEET_PRELOAD.sub("", html)
    inlined = f'<style>{css}</style><link href="{stylesheets[0]}" rel="stylesheet" type="text/css" media="print"/>'
    html = _STYLESHEET.sub(lambda _: inlined, html)

    preloads = _MODULE_PRELOAD.findall(html)
    modules = _MODULES.findall(html)
    _expect(len(preloads) > 0 and len(modules) == 1, f"the module scripts of {name}")
    html = _MODULE_PRELOAD.sub("", html)
    return _MODULES.sub(lambda match: f"<script>{_start_modules(match, preloads)}</script>", html)


@lru_cache(maxsize=4)  # the form's page is shown again at every refusal, and is the same each time
def without_hydration(page: str) -> str:
    """A finished page that stays as the server wrote it: none of its modules start."""
    return _STARTER.sub("", page)


def _start_modules(match: re.Match[str], preloads: list[str]) -> str:
    routes = _ROUTE.findall(match["routes"])
    table = match["table"]
    for number, _ in reversed(routes):
        table = table.replace(f":route{number}", f":routes[{number}]")
    return (
        _START_MODULES.replace("PRELOADS", json.dumps(preloads))
        .replace("MODULES", json.dumps([match["manifest"], *(href for _, href in routes)]))
        .replace("TABLE", table)
        .replace("ENTRY", json.dumps(match["entry"]))
    )


def _expect(found: bool, what: str) -> None:
    if not found:
        raise ShapeChanged(f"Did not find {what}. Reflex exports another shape now: see sigma_app/frontend/finish.py.")
