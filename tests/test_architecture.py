"""What import-linter cannot see: who reads the environment, and that its list of features is whole."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

from tests.sigma import PROJECT_ROOT

PACKAGE = PROJECT_ROOT / "sigma_app"
START_PROGRAMS = {
    *("cli/dev.py", "cli/run.py", "cli/psql.py"),
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


def test_the_import_rule_knows_every_feature():
    contracts = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    named = " ".join(str(contract) for contract in contracts)
    features = [path.name for path in (PACKAGE / "features").iterdir() if (path / "__init__.py").exists()]
    assert all(f"sigma_app.features.{feature}" in named for feature in features)
