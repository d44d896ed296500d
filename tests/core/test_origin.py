"""Which site a request comes from, and which network."""

import pytest

from sigma_app.core.origin import client_address, is_same_site, network_of


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({}, True),
        ({"host": "localhost:3000"}, True),
        ({"host": "www.sigma.example", "origin": "https://www.sigma.example"}, True),
        ({"host": "backend:8000", "origin": "https://sigma.example"}, True),
        ({"host": "sigma.example", "origin": "http://sigma.example"}, False),
        ({"host": "localhost:3000", "origin": "http://localhost:4000"}, False),
        ({"host": "localhost:3000", "origin": "https://evil.example"}, False),
        ({"host": "localhost:3000", "origin": "null"}, False),
        ({"host": "null", "origin": "null"}, False),
        ({"host": "", "origin": "file://"}, False),
        ({"origin": "http://localhost:3000"}, False),
        ({"host": "sigma.example.evil.example", "origin": "https://sigma.example.evil"}, False),
    ],
)
def test_only_our_own_pages_are_the_same_site(headers: dict[str, str], same: bool):
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert is_same_site(raw, "https://sigma.example") is same


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:3000", "https://a.tunnel.example"])
def test_without_https_whatever_name_the_browser_came_by_will_do(origin: str):
    host = origin.partition("://")[2]
    assert is_same_site([(b"host", host.encode()), (b"origin", origin.encode())], "http://localhost:3000")


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        (None, 0, "10.0.0.1"),
        ("1.1.1.1", 0, "10.0.0.1"),
        ("1.1.1.1", 1, "1.1.1.1"),
        ("6.6.6.6, 1.1.1.1", 1, "1.1.1.1"),
        ("6.6.6.6, 1.1.1.1, 2.2.2.2", 2, "1.1.1.1"),
        ("1.1.1.1", 2, "10.0.0.1"),
    ],
)
def test_a_visitor_is_who_the_trusted_proxies_say(forwarded: str | None, proxies: int, address: str):
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    assert client_address({"client": ("10.0.0.1", 5), "headers": headers}, proxies) == address


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unix", "unknown"),
        ("", "unknown"),
    ],
)
def test_addresses_of_one_subscriber_are_one_network(address: str, network: str):
    assert network_of(address) == network
