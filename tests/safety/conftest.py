from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sigma import Sigma


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    """Environment variables of the module's server."""
    return {}


@pytest.fixture(scope="module")
def sigma(tmp_path_factory: pytest.TempPathFactory, variables: dict[str, str]) -> Iterator[Sigma]:
    """A Sigma in a process of its own, for all attacks of a module."""
    sigma = Sigma(tmp_path_factory.mktemp("safety") / "data", variables=variables).start()
    yield sigma
    sigma.remove()


@pytest.fixture
def unharmed(sigma: Sigma) -> Iterator[None]:
    """After every attack it answers as before, and no traceback of it is in the log."""
    from tests.safety.raw import status_of, talk

    before = len(sigma.log.read_text())
    yield
    assert status_of(talk(sigma.port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")) == 200
    assert "Traceback" not in sigma.log.read_text()[before:]
