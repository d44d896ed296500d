"""`next` in an address leads to a page of this site, whatever anybody writes there."""

from __future__ import annotations

from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from hypothesis import example, given, strategies

from sigma_app.core.destination import HOME, safe_next, with_next

SITE = "https://sigma.example"

OURS = [
    "/", "/profile", "/account", "/account?tab=devices", "/account?x=%2F%2Fevil.example", "/account#password",
    "/a/../profile", "/p%C3%A9", "/account?next=https://evil.example", "/a//b", "/@evil.example", "/:80",
    "/%2F/evil.example", "/%5Cevil.example", "/.evil.example", "/javascript:alert(1)",
]  # fmt: skip

ELSEWHERE = [
    None, "", " ", "profile", "?x", "#x", ".", "..",
    "//evil.example", "///evil.example", "////evil.example", "//", "///",
    "/\\evil.example", "\\\\evil.example", "\\/evil.example", "/\\/evil.example", "/profile\\..\\evil",
    "/account?x=\\evil.example", "/account#\\",
    "/\t/evil.example", "/\n/evil.example", "/\r/evil.example", "\t//evil.example", " //evil.example",
    "/\t\\evil.example", "/profile\n", "/profile\r\nSet-Cookie: a=1", "/profile\x00", "/ /evil.example", "/pro file",
    "https://evil.example", "https:evil.example", "https:/evil.example", "HTTPS://evil.example", "http:",
    "https://sigma.example/profile", "https://sigma.example@evil.example/",
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "mailto:a@evil.example",
    "/é", "/profile\u2028", "/\u2215evil.example", "\uff0f\uff0fevil.example", "/\u3002evil", "/\ud800",
    "/" + "x" * 512, "/profile\x7f",
]  # fmt: skip


@pytest.mark.parametrize("wished", OURS)
def test_a_path_of_this_site_is_kept_as_it_is(wished: str):
    assert safe_next(wished) == wished


@pytest.mark.parametrize("wished", ELSEWHERE)
def test_whatever_else_is_the_usual_place(wished: str | None):
    assert safe_next(wished) == HOME
    assert safe_next(wished, "/other") == "/other"


@pytest.mark.parametrize("wished", ["/%09/evil.example", "/%0d%0aSet-Cookie:a=1", "/%00"])
def test_what_is_escaped_stays_escaped_and_is_a_path(wished: str):
    """Browsers and servers decode a Location header no further."""
    assert safe_next(wished) == wished
    assert as_a_browser_reads_it(wished) == (SITE, False)


def test_the_longest_that_is_taken():
    assert safe_next("/" + "x" * 511) == "/" + "x" * 511


def as_a_browser_reads_it(location: str) -> tuple[str, bool]:
    """The origin that a Location header of SITE leads to, and whether the header could hold more than one line.

    After the WHATWG's URL standard ("basic URL parser"): leading and trailing controls and spaces go, tabs and line
    ends go wherever they are, and a backslash is a slash before the query of a special scheme.
    """
    lines = any(ord(character) < 0x20 for character in location)
    read = location.strip("".join(map(chr, range(0x21)))).translate({9: None, 10: None, 13: None})
    path, mark, query = read.partition("?")
    parts = urlsplit(urljoin(f"{SITE}/sign-in", path.replace("\\", "/") + mark + query))
    return f"{parts.scheme}://{parts.netloc}", lines


PIECES = strategies.sampled_from(
    ["/", "\\", "//", "\t", "\n", "\r", " ", ":", "@", "?", "#", ".", "..", "%2f", "%5c", "https:", "javascript:",
     "evil.example", "sigma.example", "profile", "\x00", "\u2028", "\uff0f", "[", "]", ";", "é"]
)  # fmt: skip


@given(strategies.one_of(strategies.text(), strategies.lists(PIECES, max_size=12).map("".join)))
@example("//evil.example")
@example("/[evil")
def test_no_text_at_all_leads_to_another_site(wished: str):
    for location in (safe_next(wished), with_next("/sign-in", wished)):
        assert as_a_browser_reads_it(location) == (SITE, False)
        assert location.isascii()


@given(strategies.text())
def test_what_is_taken_once_is_taken_again_as_it_is(wished: str):
    assert safe_next(safe_next(wished)) == safe_next(wished)
    onward = with_next("/sign-in", wished)
    (asked,) = parse_qs(urlsplit(onward).query).get("next", [HOME])
    assert asked == safe_next(wished)


def test_parameters_stand_beside_it_and_those_that_are_empty_do_not():
    assert with_next("/sign-in", None) == "/sign-in"
    assert with_next("/sign-in", "/profile") == "/sign-in"
    assert with_next("/sign-in", "//evil.example", email="") == "/sign-in"
    address = with_next("/sign-in", "/account?a=1&b=2", email="a+b&c@example.com", why="")
    assert parse_qs(urlsplit(address).query) == {"next": ["/account?a=1&b=2"], "email": ["a+b&c@example.com"]}
