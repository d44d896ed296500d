"""A Sigma whose environment says that Supabase is where it is itself serves none, and says so."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from sigma_app.cli.database import refuse_own_address
from sigma_app.core.errors import StartError
from tests.conftest import settings_for


@pytest.mark.parametrize(
    ("address", "more", "accepted"),
    [
        ("http://localhost:3000", {}, False),
        ("http://LOCALHOST:3000/", {}, False),
        ("https://sigma.example.com", {"BASE_URL": "https://sigma.example.com"}, False),
        ("https://sigma.example.com", {"BASE_URL": "https://sigma.example.com", "TRUSTED_PROXIES": "1"}, True),
        ("http://localhost:54321", {}, True),
        ("http://localhost:3000", {"PORT": "3001"}, True),
    ],
)
def test_sigma_cannot_be_joined_to_itself(address: str, more: dict[str, str], accepted: bool):
    settings = settings_for(Path("unused"), VITE_SUPABASE_URL=address, **more)
    with nullcontext() if accepted else pytest.raises(StartError, match=r"\AVITE_SUPABASE_URL: http[^\n]+\Z"):
        refuse_own_address(settings)
