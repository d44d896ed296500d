"""Where auth may lead back to: the site itself, this machine, and what GOTRUE_URI_ALLOW_LIST names.

The rules are GoTrue's (internal/utilities/request.go), stricter where browsers read an address in another way than it
was judged: with a name before the host, with backslashes, or as another spelling of an IPv4 address.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import NamedTuple

from starlette.requests import Request

from sigma_app.embedded.supabase.auth.bodies import asked
from sigma_app.embedded.supabase.auth.globs import Glob
from sigma_app.settings import Settings

# RFC 3986, 3; an authority is all that lies between "//" and what may end it.
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?"
)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]*\]|[^\[\]:%]*)(?::(?P<port>[0-9]*))?")
_UNSAFE = re.compile("[\x00-\x1f\x7f\\\\\ud800-\udfff]|^ | $")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_USUAL_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
# What browsers take for an IPv4 address, in decimal, octal or hexadecimal (WHATWG URL, "ends in a number").
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::")  # noqa: S104 - names; nothing listens on them


class Redirects:
    """Judges where to lead people back to."""

    def __init__(self, settings: Settings):
        """Read the list of what is allowed.

        Raises:
            StartError: a pattern of the list is none.
        """
        self.site_url: str = _without_bare_slash(str(settings.auth_site_url or settings.base_url))
        """Where everything leads that may not lead elsewhere."""
        self._site = _parse(self.site_url)
        self._allowed = [Glob(pattern) for pattern in settings.auth_redirects]

    def choose(self, request: Request, form_value: str | None = None) -> str:
        """The first allowed of: the header `redirect_to`, or else the form's or the query's; Referer; the site.

        Args:
            request: whose headers and query ask.
            form_value: `redirect_to` of a form body, if there was one.
        """
        wished = request.headers.get("redirect_to") or form_value or asked(request, "redirect_to")
        for url in (wished, request.headers.get("referer", "")):
            if url and self.allows(url):
                return url
        return self.site_url

    def allows(self, url: str) -> bool:
        """Whether auth may lead to `url`."""
        parsed = _parse(url)
        if parsed is None:
            return False
        if self._site and parsed[:2] == self._site[:2] and (parsed.port == self._site.port or _is_local(parsed.host)):
            return True
        is_http = parsed.scheme in ("http", "https")
        if ":" in parsed.host or _NUMBER.fullmatch(parsed.host):
            return is_http and _is_loopback(parsed.host)
        if is_http and not _USUAL_HOST.fullmatch(parsed.host):
            return False
        return any(glob.matches(parsed.matched) for glob in self._allowed)


class _Parsed(NamedTuple):
    scheme: str
    host: str  # without brackets
    port: str
    matched: str  # what the allow list is compared with


def _parse(url: str) -> _Parsed | None:
    """An absolute address in its parts; None where GoTrue's parser or a browser could read another one."""
    found = None if _UNSAFE.search(url) else _URL.fullmatch(url)
    if found is None:
        return None
    scheme, authority, path, query, fragment = (part or "" for part in found.groups())
    at = _AUTHORITY.fullmatch(authority)
    if at is None or _BROKEN_ESCAPE.search(path + fragment):
        return None
    # Browsers put a slash between host and query; without it `*.example.com` would match `evil?.example.com`.
    matched = f"{scheme}://{authority}/{query}" if authority and query and not path else url[: len(url) - len(fragment)]
    return _Parsed(scheme.lower(), at["host"].strip("[]"), at["port"] or "", matched)


def _is_local(host: str) -> bool:
    return host.lower() in _THIS_MACHINE


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _without_bare_slash(url: str) -> str:
    """An origin as people write it; what follows one stays."""
    return url[:-1] if url.count("/") == 3 and url.endswith("/") else url
