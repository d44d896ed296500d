"""The last build step, on pages of the shape that the pinned Reflex exports, and on pages of another."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigma_app.frontend import finish

PAGE = (
    '<!DOCTYPE html><html lang="en"><head><link as="style" href="/assets/all.css" rel="preload"/>'
    '<link rel="modulepreload" href="/assets/entry.js"/><link rel="modulepreload" href="/assets/root.js"/>'
    "<script>theme()</script>"
    '<link href="/assets/all.css" rel="stylesheet" type="text/css"/></head><body><main>Hi</main>'
    '<script type="module" async="">import "/assets/manifest.js";\n'
    'import * as route0 from "/assets/root.js";\nimport * as route1 from "/assets/index.js";\n  \n'
    '  window.__reactRouterRouteModules = {"root":route0,"routes/_index":route1};\n\n'
    'import("/assets/entry.js");</script></body></html>'
)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An exported frontend of one page."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "all.css").write_text("body{color:red}")
    (tmp_path / "index.html").write_text(PAGE)
    return tmp_path


def test_the_stylesheet_is_inline_and_its_link_stays_for_react(export: Path):
    finish.finish(export)
    page = (export / "index.html").read_text()
    assert "<style>body{color:red}</style>" in page
    assert '<link href="/assets/all.css" rel="stylesheet" type="text/css" media="print"/>' in page
    assert 'as="style"' not in page


def test_no_module_is_asked_for_before_the_page_decides(export: Path):
    finish.finish(export)
    page = (export / "index.html").read_text()
    assert 'rel="modulepreload"' not in page
    assert 'type="module"' not in page
    assert '["/assets/entry.js", "/assets/root.js"]' in page
    assert '["/assets/manifest.js", "/assets/root.js", "/assets/index.js"]' in page
    assert '{"root":routes[0],"routes/_index":routes[1]}' in page
    assert 'import("/assets/entry.js")' in page


def test_a_page_without_hydration_starts_no_module_and_keeps_its_words(export: Path):
    finish.finish(export)
    page = finish.without_hydration((export / "index.html").read_text())
    assert "import(" not in page
    assert "theme()" in page
    assert "<main>Hi</main>" in page


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ('rel="stylesheet" type="text/css"', 'rel="stylesheet"'),
        ('rel="modulepreload"', 'rel="preload"'),
        ('<script type="module" async="">', '<script type="module">'),
        ("window.__reactRouterRouteModules", "window.__routes"),
    ],
)
def test_a_page_of_another_shape_fails_the_build(export: Path, was: str, becomes: str):
    (export / "index.html").write_text(PAGE.replace(was, becomes))
    with pytest.raises(finish.ShapeChanged, match=r"finish\.py"):
        finish.finish(export)


@pytest.mark.parametrize("css", ["a{background:url(x.png)}", "a::after{content:'</style>'}"])
def test_a_stylesheet_that_would_mean_something_else_inline_fails_the_build(export: Path, css: str):
    (export / "assets" / "all.css").write_text(css)
    with pytest.raises(finish.ShapeChanged):
        finish.finish(export)


RUNTIME = (
    "  const endpoint = new URL(url_str);\n"
    "    mounted.current = true;\n    ensureSocketConnected();\n      socketStarted ||\n      Object.keys(x)"
)


def test_the_clients_runtime_connects_on_demand_and_to_the_pages_origin():
    adapted = finish.adapt_runtime(RUNTIME)
    assert adapted.count("on-demand") == 2
    assert "location.origin" in adapted
    assert finish.adapt_runtime(adapted) == adapted


@pytest.mark.parametrize("line", ["const endpoint = new URL(", "mounted.current = true;", "socketStarted ||"])
def test_a_runtime_of_another_shape_fails_the_build(line: str):
    with pytest.raises(finish.ShapeChanged):
        finish.adapt_runtime(RUNTIME.replace(line, "something else"))
