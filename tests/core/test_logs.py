"""Log lines: one for each thing, in two shapes, each with its request."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from sigma_app.core import logs
from sigma_app.core.logs import request_id


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    levels = {name: logging.getLogger(name).level for name in logs._QUIET}
    yield
    root.handlers = handlers
    root.setLevel(level)
    for name, known in levels.items():
        logging.getLogger(name).setLevel(known)


def fail() -> None:
    try:
        raise ValueError("typed by somebody")
    except ValueError:
        logging.getLogger("sigma_app.some").exception("It failed: %s", "why")


def test_in_production_each_line_is_an_object(capsys: pytest.CaptureFixture[str]):
    logs.configure(as_json=True)
    known = request_id.set("some-request")
    logging.getLogger("sigma_app.some").warning("Two\nlines of %s", "it")
    request_id.reset(known)
    fail()
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "WARNING",
        "logger": "sigma_app.some",
        "message": "Two\nlines of it",
        "request": "some-request",
    }
    assert (second["message"], second["request"]) == ("It failed: why", "")
    assert "ValueError" in second["exc_info"]


def test_in_development_a_line_is_for_people(capsys: pytest.CaptureFixture[str]):
    logs.configure(as_json=False)
    known = request_id.set("some-request")
    logging.getLogger("sigma_app.some").info("It went\non")
    request_id.reset(known)
    logging.getLogger("sigma_app.some").info("Nobody asked")
    first, rest, second = capsys.readouterr().err.splitlines()
    assert first[2] == first[5] == ":"
    assert first[9:] == "INFO sigma_app.some: It went [some-request]"
    assert rest == "on"
    assert second[9:] == "INFO sigma_app.some: Nobody asked"


def test_libraries_that_name_what_they_ask_for_are_quiet(capsys: pytest.CaptureFixture[str]):
    logs.configure(as_json=False)
    logging.getLogger("httpx").info("HTTP Request: GET https://example.com/?email=alice@example.com")
    assert capsys.readouterr().err == ""
