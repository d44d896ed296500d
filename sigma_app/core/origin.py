"""Where a request comes from: which site sent it, and which network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

Headers = Iterable[tuple[bytes, bytes]]

PLACEHOLDER_ORIGIN = "https://sigma.invalid"
"""Stands for the public address in built pages, which know no address; serving fills in the real one."""

_IPV6_NETWORK = 64  # one subscriber usually holds a /64, so single addresses of it say nothing


def is_same_site(headers: Headers, base_url: str) -> bool:
    """Whether a state-changing request or a websocket was started by a page of ours.

    Browsers send `Origin` with every POST and every websocket handshake (Fetch, 3.2); other clients need not, and
    cannot be tricked into sending a visitor's cookies either, so a request without it passes. Behind https a page that
    came by plain http is not ours: whoever sits in between may have written it.

    Args:
        headers: the request's headers as ASGI gives them.
        base_url: the public address, for proxies that change `Host`.
    """
    found = {name: value.decode("latin-1") for name, value in headers if name in (b"origin", b"host")}
    origin = found.get(b"origin")
    if origin is None:
        return True
    try:
        scheme, host = urlsplit(origin)[:2]
    except ValueError:  # such as a bracket that is not closed
        return False
    if scheme == "http" and base_url.startswith("https:"):
        return False
    return origin == base_url or (host != "" and host == found.get(b"host"))


def client_address(scope: Mapping[str, Any], trusted_proxies: int) -> str:
    """The address of the visitor, or of the last proxy when none is trusted.

    Args:
        scope: an ASGI scope.
        trusted_proxies: how many proxies of ours stand in front, each of which appends to `X-Forwarded-For`.
    """
    if trusted_proxies:
        forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        hops = [hop.strip() for hop in forwarded.decode("latin-1").split(",") if hop.strip()]
        if len(hops) >= trusted_proxies:
            return hops[-trusted_proxies]
    client = scope.get("client")
    return client[0] if client else ""


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """The network an address is limited by: IPv4 by the address, IPv6 by its /64, anything else as one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return f"{IPv6Address(int(parsed) >> (128 - _IPV6_NETWORK) << (128 - _IPV6_NETWORK))}/{_IPV6_NETWORK}"
    return str(parsed)
