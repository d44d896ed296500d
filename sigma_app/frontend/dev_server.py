"""Lets the pages of `make dev` reach the backend: Vite serves them on a port of its own and passes our routes on."""

from __future__ import annotations

import json
import re

from reflex.plugins import Plugin

from sigma_app.core.errors import StartError

BACKEND_PATHS = (
    *("/healthz", "/readyz", "/metrics", "/founders.json", "/dev/mailbox", "/dev/mailbox.json"),
    *("/confirm", "/confirm/{token}", "/place/{token}", "/unsubscribe/{token}", "/erase/{token}"),
    "/invitation/{token}",
    *("/sign-up", "/sign-in", "/sign-in/link", "/forgot", "/check-inbox", "/verify", "/reset", "/goodbye"),
    *("/profile/picture", "/account/data.zip", "/admin/growth.csv"),
    *("/pricing", "/billing/checkout", "/billing/portal", "/dev/stripe"),
    *("/sandbox/checkout/{session}", "/sandbox/portal/{session}", "/sandbox/invoice/{invoice}"),
    *("/auth/v1/{path:path}", "/rest/v1/{path:path}", "/storage/v1/{path:path}"),
)
"""What a GET asks the backend for, as routes; anything but a GET goes there whatever its path."""


def _pattern(path: str) -> str:
    """A route's path as a regular expression of JavaScript."""
    return re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path.replace("{path:path}", "\0"))).replace("\0", ".*")


_PATTERN = "^(?:" + "|".join(map(_pattern, BACKEND_PATHS)) + ")$"
_PORT_LINE = "  server: {\n    port: process.env.PORT,\n"


class PassRoutesOn(Plugin):
    """Reflex plugin: adds a proxy to the configuration of Vite's development server."""

    def pre_compile(self, **context) -> None:
        """Called by Reflex before it writes the frontend's sources."""
        context["add_modify_task"]("vite.config.js", pass_routes_on)


def pass_routes_on(vite_config: str) -> str:
    """Vite's configuration with the proxy in it.

    Raises:
        StartError: the pinned Reflex writes another configuration.
    """
    from reflex.config import get_config

    if "bypass:" in vite_config:
        return vite_config
    if vite_config.count(_PORT_LINE) != 1:
        raise StartError("vite.config.js has another shape now: see sigma_app/frontend/dev_server.py.")
    proxy = f"""\
    proxy: {{
      "^/(?!_event)": {{
        target: {json.dumps(get_config().api_url)},
        bypass: ({{ method, url }}) =>
          method === "GET" && !new RegExp({json.dumps(_PATTERN)}).test(url.split("?")[0]) ? url : undefined,
      }},
    }},
"""
    return vite_config.replace(_PORT_LINE, _PORT_LINE + proxy)
