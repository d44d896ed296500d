"""Where auth may lead back to: what GoTrue allows, and never where a browser would go astray."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import Request

from sigma_app.core.errors import StartError
from sigma_app.embedded.supabase.auth.globs import Glob
from sigma_app.embedded.supabase.auth.redirects import Redirects
from sigma_app.frontend import toolchain
from tests.conftest import settings_for

SITE = "https://example.com"
ALLOWED = "http://localhost:8000/*,http://*.localhost:8000/*,http://*:12345/*,http://**:12345/*"


def redirects(site: str = SITE, allowed: str = "") -> Redirects:
    return Redirects(settings_for(Path("unused"), GOTRUE_SITE_URL=site, GOTRUE_URI_ALLOW_LIST=allowed))


def request(query: str = "", **headers: str) -> Request:
    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw, "query_string": query.encode()})


def asking(url: str) -> Request:
    return request(f"redirect_to={quote(url, safe='', errors='replace')}")


# GoTrue's own cases (internal/utilities/request_test.go).
@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://localhost:8000/path", True),
        ("http://localhost:3000", False),
        ("http://localhost:8000", False),
        ("http://localhost:8000/path/to/page", False),
        ("http://localhost:8000/path?param=1", True),
        ("http://123?.localhost:8000/path", False),
        ("http://123.123.123.123?localhost:8000/path", False),
        ("http://[65e7:9410:d8b6:e227:58cd:e55b:8fc0:206d]?localhost:8000/path", False),
        ("http://65e7:9410:d8b6:e227:58cd:e55b:8fc0:206d?localhost:8000/path", False),
        ("http://127.0.0.1:12345/path", True),
        ("http://[0:0:0:0:0:0:0:1]:12345/path", True),
        ("https://example.com/dashboard", True),
        ("http://example.com/dashboard", False),
        ("https://example.com:8443/dashboard", False),
    ],
)
def test_gotrues_cases_are_judged_as_gotrue_does(url: str, allowed: bool):
    assert redirects(allowed=ALLOWED).choose(asking(url)) == (url if allowed else SITE)


@pytest.mark.parametrize(
    ("site", "url", "allowed"),
    [
        ("http://localhost:3000", "http://localhost:8080/callback", True),
        ("http://127.0.0.1:3000", "http://127.0.0.1:8080/callback", True),
        ("http://[::1]:3000", "http://[::1]:8080/callback", True),
        ("http://localhost:3000", "http://localhost/callback", True),
        ("https://localhost:3000", "http://localhost:8080/callback", False),
        ("https://example.com:9000", "https://example.com:9001/path", False),
        ("https://example.com:9000", "https://example.com:9000/path", True),
        ("https://example.com:9000", "https://example.com/path", False),
        ("https://example.com/app", "https://example.com/", True),
        ("https://example.com", "https://example.com", True),
        ("https://example.com", "HTTPS://example.com", True),
        ("https://example.com", "https://EXAMPLE.com", False),
        ("https://example.com", "https://www.example.com", False),
        ("https://example.com", "https://example.com.evil.example", False),
        ("https://example.com", "https://example.com?a=b#c", True),
        ("https://example.com", "https://example.com/a b", True),
        ("https://example.com", "https://example.com/ü?ü#ü", True),
        ("https://example.com", "https://example.com/%zz", False),
        ("https://example.com", "https://example.com/?%zz", True),
    ],
)
def test_the_site_itself_is_allowed_and_on_this_machine_any_port(site: str, url: str, allowed: bool):
    assert redirects(site).allows(url) is allowed


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            " ",
            "/dashboard",
            "//example.com",
            "example.com",
            "dashboard",
            "?",
            "#",
            ":",
            "://",
            "https:",
            "https://",
        ),
        *("https:example.com", "https:/example.com", "https:///example.com", " https://example.com"),
        *("https://example.com ", "https://example.com\n", "ht\ntps://example.com", "https://exam\tple.com"),
        *("https://example.com\x00.evil.example", "\x00https://example.com", "https://example.com/\x7f", "\x1f"),
        *("https://example.com@evil.example", "https://evil.example@example.com", "https://a:b@example.com"),
        *("https://@example.com", "https://example.com:443@evil.example", "https://evil.example\\@example.com"),
        *("https:\\\\example.com", "https://example.com\\.evil.example", "https://evil.example#@example.com"),
        *(
            "https://evil.example?@example.com",
            "https://evil.example/@example.com",
            "https://evil.example%2f@example.com",
        ),
        *(
            "https://example.com%2eevil.example",
            "https://example.com%00",
            "https://[example.com]",
            "https://[::1",
            "https://]",
        ),
        *("https://example.com:80:80", "https://example.com:port", "https://example.com:-1", "https://example。com"),
        *(
            "https://2130706433",
            "https://127.1",
            "https://0x7f.1",
            "https://0177.0.0.1",
            "https://1.2.3.4",
            "https://1.2.3.4.",
        ),
        *("https://[::ffff:1.2.3.4]", "https://[fe80::1%25eth0]", "https://[::1%25eth0]", "https://0x7f000001"),
        *("javascript:alert(1)", "javascript://example.com/%0aalert(1)", "data:text/html,x", "ftp://example.com"),
        *(
            "vbscript:x",
            "file:///etc/passwd",
            "blob:https://example.com/x",
            "myapp://callback",
            "https+x://example.com",
        ),
        *("\ud800", "https://example.com/\udfff", "https://\ud800.example.com", "ftp://127.0.0.1", "myapp://localhost"),
    ],
)
def test_everything_else_leads_to_the_site(url: str):
    assert not redirects().allows(url)
    assert redirects().choose(request(), url) == SITE


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "https://127.8.9.1:99", "http://[::1]:5173/auth"])
def test_this_machine_by_number_is_allowed(url: str):
    assert redirects().allows(url)


@pytest.mark.parametrize(
    ("pattern", "url", "allowed"),
    [
        ("https://*.example.org/**", "https://a.example.org/x/y.z?q#f", True),
        ("https://*.example.org/**", "https://a.b.example.org/x", False),
        ("https://*.example.org/**", "https://example.org/x", False),
        ("https://*.example.org/**", "https://evil?.example.org/x", False),
        ("https://*.example.org/**", "https://evil:443?.example.org/x", False),
        ("https://*.example.org/**", "https://evil#.example.org/x", False),
        ("https://*.example.org/**", "https://evil/.example.org/x", False),
        ("https://*.example.org/**", "https://evil\\.example.org/x", False),
        ("https://*.example.org/**", "https://evil@.example.org/x", False),
        ("https://*.example.org/**", "https://evil。example.org/x", False),
        ("https://*.example.org/**", "https://0x01020304?.example.org/x", False),
        ("https://example.org/**", "https://example.org?code=1", True),
        ("https://example.org", "https://example.org", True),
        ("https://example.org", "https://example.org#x", True),
        ("https://example.org", "https://example.org/", False),
        ("https://*-me.vercel.app", "https://branch-me.vercel.app", True),
        ("http://localhost:?000/*", "http://localhost:5000/x", True),
        ("http://localhost:?000/*", "http://localhost:55000/x", False),
        ("myapp://callback", "myapp://callback", True),
        ("myapp://**", "myapp://a.b/c", True),
        ("com.example.app://login/*", "com.example.app://login/now", True),
        ("myapp:/callback", "myapp:/callback", True),
        ("myapp://**", "http://a.b/c", False),
        ("**", "https://anything.example/at/all", True),
        ("**", "https://1.2.3.4/", False),
        ("**", "https://3232235777/", False),
        ("**", "https://user@anything.example/", False),
        ("**", "//anything.example/", False),
        ("**", "https://under_score.example/", False),
        ("**", "https://-a.example/", False),
    ],
)
def test_the_list_of_what_is_allowed_is_matched_as_a_pattern(pattern: str, url: str, allowed: bool):
    assert redirects(allowed=f"https://first.example, {pattern}").allows(url) is allowed


def test_header_comes_before_form_before_query_before_referer_before_site():
    subject = redirects()
    header, form, query, referer = (f"{SITE}/{name}" for name in ("header", "form", "query", "referer"))
    everything = request(f"redirect_to={query}", redirect_to=header, referer=referer)
    assert subject.choose(everything, form) == header
    assert subject.choose(request(f"redirect_to={query}", referer=referer), form) == form
    assert subject.choose(request(f"redirect_to={query}", referer=referer)) == query
    assert subject.choose(request(f"redirect_to={query}&redirect_to={form}", referer=referer)) == query
    assert subject.choose(request("redirect_to=", referer=referer), "") == referer
    assert subject.choose(request(referer="https://elsewhere.example")) == SITE
    assert subject.choose(request()) == SITE


def test_what_was_asked_first_and_is_refused_gives_way_to_the_referer_alone():
    subject = redirects()
    asked = request(f"redirect_to={SITE}/query", redirect_to="https://evil.example", referer=f"{SITE}/referer")
    assert subject.choose(asked, f"{SITE}/form") == f"{SITE}/referer"


@pytest.mark.parametrize(
    ("variables", "site"),
    [
        ({}, "http://localhost:3000"),
        ({"BASE_URL": "https://sigma.example"}, "https://sigma.example"),
        ({"BASE_URL": "https://sigma.example", "GOTRUE_SITE_URL": "https://app.example"}, "https://app.example"),
        ({"GOTRUE_SITE_URL": "https://app.example/"}, "https://app.example"),
        ({"GOTRUE_SITE_URL": "https://app.example/in/"}, "https://app.example/in/"),
    ],
)
def test_the_site_is_where_people_reach_us_unless_it_is_named(variables: dict[str, str], site: str):
    assert Redirects(settings_for(Path("unused"), **variables)).site_url == site


# The library's own cases (gobwas/glob, glob_test.go), with the separators that GoTrue gives it.
@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("", "", True),
        ("", "b", False),
        ("*ä", "åä", True),
        ("abc", "abc", True),
        ("a*c", "abc", True),
        ("a*c", "a12345c", True),
        ("a?c", "a1c", True),
        ("?at", "at", False),
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.**", "a.b.c", True),
        ("a.?.c", "a.b.c", True),
        ("a.?.c", "a.bb.c", False),
        ("?", "/", False),
        ("?", ".", False),
        ("*", "a.b.c", False),
        ("*", "", True),
        ("**", "a.b/c", True),
        (r"\*", "*", True),
        (r"\*", "a", False),
        ("**is**a***test*", "this is a test", True),
        ("*no*", "this is a test", False),
        ("[!a]*", "this is a test3", True),
        ("[!a]", "a", False),
        ("[!a]", "/", True),
        ("[abc]", "b", True),
        ("[abc]", "d", False),
        ("[a-c]", "b", True),
        ("[!a-c]", "b", False),
        ("[a-c]", "", False),
        (r"[\]]", "]", True),
        ("*abc", "abcabc", True),
        ("?*?", "ac", True),
        ("sta?n", "stagnation", False),
        ("{abc,def}ghi", "defghi", True),
        ("{abc,abcd}a", "abcda", True),
        ("{a,ab}{bc,f}", "abc", True),
        ("{*,**}{a,b}", "ab", True),
        ("{*,**}{a,b}", "ac", False),
        ("{a,{b,c}d}e", "cde", True),
        ("{a,{b,c}d}e", "ce", False),
        ("{,x}y", "y", True),
        ("{a,b", "b", True),
        ("a,b}", "a,b}", True),
        ("/{rate,[a-z][a-z][a-z]}*", "/usd", True),
        ("{*.google.*,*.yandex.*}", "www.yandex.com", True),
        ("{*.google.*,*.yandex.*}", "yandex.com", False),
        ("*//{,*.}example.com", "https://www.example.com", True),
        ("*//{,*.}example.com", "http://example.com.net", False),
    ],
)
def test_patterns_mean_what_they_mean_to_gotrue(pattern: str, text: str, matches: bool):
    assert Glob(pattern).matches(text) is matches


@pytest.mark.parametrize("pattern", ["[", "[]", "[a", "[z-a]", "a\\"])
def test_what_is_no_pattern_is_told_before_anything_is_served(pattern: str):
    with pytest.raises(StartError, match="GOTRUE_URI_ALLOW_LIST"):
        redirects(allowed=f"https://a.example,{pattern}")


def test_no_text_makes_a_pattern_slow():
    pattern = "https://" + "**a" * 20 + "*/" * 20 + "b"
    assert not Glob(pattern).matches("https://" + "a/" * 20_000)


STRICT = redirects(allowed="https://*.example.org/**,http://localhost:8000/*,myapp://callback")
PIECES = st.sampled_from(
    [
        *(
            "https",
            "http",
            "myapp",
            "javascript",
            "HTTPS",
            ":",
            "//",
            "/",
            "\\",
            "@",
            "#",
            "?",
            ".",
            ",",
            "[",
            "]",
            "%2e",
        ),
        *("%", "\t", "\n", " ", "\x00", "。", "ａ", "é", "example.com", "example.org", "a.example.org", "evil.example"),
        *(
            "localhost",
            ":8000",
            ":443",
            "127.0.0.1",
            "::1",
            "1.2.3.4",
            "0x7f",
            "2130706433",
            "callback",
            "user:pw",
            "\ud800",
        ),
    ]
)
URLS = st.one_of(
    st.text(max_size=40),
    st.lists(PIECES, max_size=12).map("".join),
    st.tuples(
        st.sampled_from([SITE, "https://a.example.org/", "http://localhost:8000/x", "myapp://callback"]),
        st.integers(0, 24),
        st.lists(PIECES, max_size=3).map("".join),
    ).map(lambda it: it[0][: it[1]] + it[2] + it[0][it[1] :]),
)


def is_ours(url: str) -> bool:
    """Whether an address, as Python's own parser reads it, is one that STRICT may lead to."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme == "myapp":
        return url.partition("#")[0].lower() == "myapp://callback"
    at_site = (parts.scheme, parts.netloc.rstrip(":")) == ("https", "example.com")
    in_list = parts.scheme == "https" and host.endswith(".example.org") and host.count(".") == 2
    on_port = parts.scheme == "http" and (host, port) == ("localhost", 8000)
    here = parts.scheme in ("http", "https") and (host.startswith("127.") or host.strip("0:") == "1")
    return "@" not in parts.netloc and (at_site or in_list or on_port or here)


@given(URLS, URLS, URLS)
@example("https://evil.example?.example.org/", "https://evil\\.example.org/", "https://evil@a.example.org/")
def test_whatever_comes_in_what_comes_out_is_allowed(asked: str, form: str, referer: str):
    chosen = STRICT.choose(request(f"redirect_to={quote(asked, errors='replace')}", referer=referer), form)
    assert is_ours(chosen)
    chosen.encode()
    assert is_ours(asked) or not STRICT.allows(asked)


def test_browsers_read_what_is_allowed_as_it_was_meant():
    """Every allowed address of some thousands, read by Node's parser of addresses, which is the browsers'."""
    before = ["https://", "https:/", "https:", "http://", "HTTPS://", "//", "\\\\", "https:\\\\", " https://"]
    hosts = ["example.com", "a.example.org", "evil.example", "localhost:8000", "[::1]", "evil", "0x7f000001", "1.2", ""]
    after = ["", "/", "?", "#", "\\", "@", ".", "%2f", ":", ":443", ":@", "。", "\t", "?.", "#.", "/.", ":1@", ";"]
    then = ["", *hosts]
    tried = map("".join, itertools.product(before, hosts, after, then, ["", "/x"]))
    allowed = [url for url in tried if STRICT.allows(url)]
    assert len(allowed) > 100
    read = "console.log(JSON.stringify(JSON.parse(require('fs').readFileSync(0)).map(url => new URL(url).href)))"
    node = subprocess.run(
        ["node", "-e", read],
        input=json.dumps(allowed),
        capture_output=True,
        text=True,
        check=True,
        env=toolchain.environment(os.environ),
    )
    assert [url for url, href in zip(allowed, json.loads(node.stdout), strict=True) if not is_ours(href)] == []
