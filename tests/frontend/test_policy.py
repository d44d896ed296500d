"""The policy of a page: its own scripts, by their hashes, and no others."""

from __future__ import annotations

import base64
import hashlib

from sigma_app.frontend.policy import policy_of


def directives(page: str) -> dict[str, list[str]]:
    return {name: sources for name, *sources in (part.split() for part in policy_of(page).split("; "))}


def hash_of(code: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(code).digest()).decode()}'"


def test_a_pages_own_inline_scripts_run_and_those_alone():
    page = '<script>theme()</script><script type="module" async="">start(\n"é")</script><script src="/a.js"></script>'
    assert sorted(directives(page)["script-src"]) == sorted(
        ["'self'", hash_of(b"theme()"), hash_of('start(\n"é")'.encode())]
    )


def test_what_is_not_named_is_not_allowed():
    named = directives("<main></main>")
    assert named["default-src"] == named["frame-ancestors"] == named["base-uri"] == ["'none'"]
    assert named["script-src"] == named["connect-src"] == ["'self'"]
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*"} & set(named["script-src"])
