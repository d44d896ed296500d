"""Pages that the server fills in: escaped, complete or not at all, compiled once, and never shown as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import Environment, UndefinedError
from markupsafe import Markup
from starlette.responses import HTMLResponse

from sigma_app.frontend import templates
from sigma_app.frontend.policy import policy_of
from sigma_app.frontend.static import MemoryFiles
from sigma_app.ui.template import number, plural, slot, when

# As React writes it: quotes escaped, a comment between two texts.
PAGE = """\
<!DOCTYPE html><html data-origin="https://sigma.invalid"><body><form action="⟦ action ⟧">
<p>Hello <!-- -->⟦ email ⟧<!-- -->.</p>
⟦% if state == &#x27;valid&#x27; and 1 &lt; 2 %⟧<b>Good</b>⟦% endif %⟧⟦# no word #⟧
{{ email }} {% if %}</form><script>(() => {
  let started = false;
  import("/assets/entry.js");
})();</script></body></html>"""


@pytest.fixture
def build(tmp_path: Path) -> Path:
    (tmp_path / "templates" / "hello").mkdir(parents=True)
    for name in ("templates/hello.html", "templates/hello/index.html"):
        (tmp_path / name).write_text(PAGE, encoding="utf-8")
    (tmp_path / "plain.html").write_text("<p>Plain</p>", encoding="utf-8")
    (tmp_path / "app.js").write_text('"⟦ email ⟧"', encoding="utf-8")
    return tmp_path


@pytest.fixture
def pages(build: Path) -> MemoryFiles:
    return MemoryFiles(build, "https://sigma.example")


def render(pages: MemoryFiles, **values: object) -> str:
    values = {"action": "/x", "email": "e", "state": "valid"} | values
    return text(templates.respond(pages, "/templates/hello", values))


def text(answer: HTMLResponse) -> str:
    return bytes(answer.body).decode()


@pytest.mark.parametrize("path", ["/templates/hello", "/templates/hello.html", "/templates/hello/index.html"])
def test_a_template_is_never_served_as_it_is(pages: MemoryFiles, path: str):
    assert pages.find(path) is None


def test_its_text_can_be_had_with_the_public_address_and_other_files_are_served(pages: MemoryFiles):
    assert 'data-origin="https://sigma.example"' in pages.text("/templates/hello")
    assert pages.find("/plain") is not None
    assert pages.find("/app.js") is not None
    with pytest.raises(KeyError):
        pages.text("/templates/nix")


def test_values_are_escaped_in_text_and_in_attributes(pages: MemoryFiles):
    page = render(pages, email="<script>alert('x')</script>", action='/x" onclick="y')
    assert "<p>Hello &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;.</p>" in page
    assert '<form action="/x&#34; onclick=&#34;y">' in page


def test_what_is_markup_already_stays_as_it_is(pages: MemoryFiles):
    assert "Hello <i>x</i>." in render(pages, email=Markup("<i>x</i>"))


def test_a_value_is_never_read_as_a_template(pages: MemoryFiles):
    assert "Hello ⟦ action ⟧." in render(pages, email="⟦ action ⟧")


def test_conditions_hold_or_do_not_and_other_braces_mean_nothing(pages: MemoryFiles):
    assert "<b>Good</b>" in render(pages)
    assert "<b>Good</b>" not in render(pages, state="used")
    assert "{{ email }} {% if %}" in render(pages)
    assert "no word" not in render(pages)


def test_nothing_hydrates(pages: MemoryFiles):
    assert "import(" not in render(pages)


def test_a_value_that_is_missing_is_an_error(pages: MemoryFiles):
    with pytest.raises(UndefinedError, match="email"):
        templates.respond(pages, "/templates/hello", {"action": "/x", "state": "valid"})


def test_a_page_is_compiled_once_for_a_build_and_anew_for_another(
    pages: MemoryFiles, build: Path, monkeypatch: pytest.MonkeyPatch
):
    compiled: list[str | None] = []
    compile_page = Environment.compile

    def compile_and_count(self: Environment, source, name=None, *rest, **more):
        compiled.append(name)
        return compile_page(self, source, name, *rest, **more)

    monkeypatch.setattr(Environment, "compile", compile_and_count)
    assert render(pages) == render(pages)
    assert compiled == ["/templates/hello"]
    for name in ("templates/hello.html", "templates/hello/index.html"):
        (build / name).write_text("New: ⟦ email ⟧", encoding="utf-8")
    assert render(pages) != "New: e"
    assert render(MemoryFiles(build, "https://sigma.example")) == "New: e"


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 places"), (1, "1 place"), (2, "2 places"), (12345, "12,345 places")]
)
def test_numbers_read_as_in_a_sentence(tmp_path: Path, count: int, words: str):
    (tmp_path / "place.html").write_text(f"{number('n')} {plural('n', 'place', 'places')}", encoding="utf-8")
    assert text(templates.respond(MemoryFiles(tmp_path, ""), "/place", {"n": count})) == words


def test_what_is_filled_in_is_never_a_script_of_the_page(tmp_path: Path):
    (tmp_path / "place.html").write_text("<script>ours()</script>⟦ name ⟧", encoding="utf-8")
    pages = MemoryFiles(tmp_path, "")
    answer = templates.respond(pages, "/place", {"name": Markup("<script>theirs()</script>")})
    assert "<script>theirs()</script>" in text(answer)
    assert answer.headers["content-security-policy"] == policy_of("<script>ours()</script>")


def test_marks_are_one_piece_of_text_each():
    assert slot("email") == "⟦ email ⟧"
    texts = [child.render()["contents"] for child in when("a == 'b'", "x").children]
    assert [text.encode().decode("unicode_escape").strip('"') for text in texts] == [
        "⟦% if a == 'b' %⟧",
        "x",
        "⟦% endif %⟧",
    ]
