"""When a server takes connections: at once, or behind a proxy, which can ask another one, when it can answer them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sigma_app.cli.serving import listen
from sigma_app.core.errors import StartError
from tests.conftest import settings_for
from tests.sigma import free_port


@pytest.mark.parametrize(("proxies", "taken"), [("0", True), ("1", False)])
def test_who_comes_while_it_starts_waits_unless_a_proxy_can_ask_another(tmp_path: Path, proxies: str, taken: bool):
    settings = settings_for(tmp_path, PORT=free_port(), TRUSTED_PROXIES=proxies)
    with listen(settings), socket.socket() as visitor:
        assert (visitor.connect_ex(("127.0.0.1", settings.port)) == 0) is taken


def test_a_port_that_is_served_is_refused_behind_a_proxy_too(tmp_path: Path):
    settings = settings_for(tmp_path, PORT=free_port(), TRUSTED_PROXIES="1")
    with listen(settings) as first:
        first.listen()
        with pytest.raises(StartError, match=f"PORT: {settings.port} is taken"):
            listen(settings)
