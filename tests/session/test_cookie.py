"""The cookie: what is taken for one, and how it is given and taken away."""

from __future__ import annotations

import pytest
from starlette.responses import Response

from sigma_app.session.cookie import cookie_name, cookie_of, give_cookie, new_cookie, read_cookie, take_cookie

pytestmark = pytest.mark.usefixtures("settings")

VALUE = "A-b_" + "0" * 39
HTTPS = {"BASE_URL": "https://sigma.example.com"}


def given(response: Response) -> dict[str, str]:
    """The attributes of the one Set-Cookie header, by lower-case name; the cookie itself by its own."""
    (header,) = [value.decode() for name, value in response.raw_headers if name == b"set-cookie"]
    first, *rest = header.split("; ")
    return dict([first.split("=", 1)]) | {
        name.lower(): value for name, _, value in (one.partition("=") for one in rest)
    }


def test_nobody_can_guess_one():
    values = {new_cookie() for _ in range(100)}
    assert len(values) == 100
    assert all(read_cookie(f"sigma_session={value}") == value for value in values)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (f"sigma_session={VALUE}", VALUE),
        (f"theme=dark; sigma_session={VALUE};other=1", VALUE),
        (f"  sigma_session={VALUE}  ", VALUE),
        ("", None),
        (";;;=;", None),
        ("sigma_session", None),
        ("sigma_session=", None),
        (f'sigma_session="{VALUE}"', None),
        (f"sigma_session={VALUE}x", None),
        (f"sigma_session={VALUE[:-1]}", None),
        (f"sigma_session={VALUE[:-1]}\n", None),
        (f"sigma_session={VALUE[:-1]}é", None),
        (f"sigma_session={VALUE[:-1]}'", None),
        (f"SIGMA_SESSION={VALUE}", None),
        (f"xsigma_session={VALUE}", None),
        (f"__Host-sigma_session={VALUE}", None),
        (f"a=1=sigma_session={VALUE}", None),
        (f"sigma_session={VALUE}; sigma_session={VALUE}", None),
        (f"sigma_session=planted; sigma_session={VALUE}", None),
    ],
)
def test_only_what_one_of_ours_looks_like_is_one_and_only_alone(header: str, found: str | None):
    assert read_cookie(header) == found


def test_headers_of_http2_come_in_pieces_and_are_one():
    pieces = [(b"cookie", b"theme=dark"), (b"accept", b"*/*"), (b"cookie", f"sigma_session={VALUE}".encode())]
    assert cookie_of(pieces) == VALUE
    assert cookie_of([*pieces, (b"cookie", f"sigma_session={VALUE}".encode())]) is None
    assert cookie_of([(b"cookie", b"\xff\xfe")]) is None
    assert cookie_of([]) is None


@pytest.mark.parametrize("variables", [{"SESSION_SECONDS": "1234"}])
def test_it_is_for_no_script_and_no_other_site(variables):
    response = Response()
    give_cookie(response, VALUE)
    assert given(response) == {
        "sigma_session": VALUE,
        "httponly": "",
        "max-age": "1234",
        "path": "/",
        "samesite": "lax",
    }


@pytest.mark.parametrize("variables", [HTTPS])
def test_behind_https_the_name_itself_keeps_it_to_this_host(variables):
    response = Response()
    give_cookie(response, VALUE)
    attributes = given(response)
    assert attributes["__Host-sigma_session"] == VALUE
    assert {"secure", "httponly"} <= attributes.keys()
    assert "domain" not in attributes  # with one, browsers refuse the name
    assert attributes["path"] == "/"
    assert read_cookie(f"__Host-sigma_session={VALUE}") == VALUE
    assert read_cookie(f"sigma_session={VALUE}") is None


@pytest.mark.parametrize("variables", [{}, HTTPS])
def test_signing_out_takes_away_the_one_that_was_given(variables):
    response = Response()
    take_cookie(response)
    attributes = given(response)
    assert attributes[cookie_name()] in ("", '""')
    assert attributes["max-age"] == "0"
    assert attributes["path"] == "/"
    assert ("secure" in attributes) == bool(variables)
