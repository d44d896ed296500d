"""What import-linter cannot see: who reads the environment, and what features see of each other."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.sigma import PROJECT_ROOT

PACKAGE = PROJECT_ROOT / "sigma_app"
START_PROGRAMS = {
    *("cli/dev.py", "cli/run.py", "gateways/programs.py"),
    *("frontend/build.py", "frontend/toolchain.py", "embedded/postgres_layout.py"),
}
"""Modules that hand an environment on to a program they start, or look for it on PATH; none reads a variable."""


def uses_environment(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr in {"environ", "getenv"}
        for node in ast.walk(tree)
    )


def test_only_the_settings_read_the_environment():
    users = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if uses_environment(path)}
    assert users - {"settings.py"} <= START_PROGRAMS


def test_every_module_says_what_it_is_for():
    for path in PACKAGE.rglob("*.py"):
        assert path.stat().st_size == 0 or ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def imported(path: Path) -> set[str]:
    """The full names of what a module imports, at its top and inside its functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_between_features_only_service_is_visible():
    features = PACKAGE / "features"
    for path in features.rglob("*.py"):
        own = path.relative_to(features).parts[0]
        for name in imported(path):
            match name.split("."):
                case ["sigma_app", "features", other, *rest] if other != own:
                    assert rest[:1] == ["service"], f"{path.relative_to(PACKAGE)} imports {name}"
                case _:
                    pass
