"""A Supabase elsewhere, for a Sigma whose database is another: the fixture `elsewhere`, and how it is configured."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sigma import Supabase


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supabase]:
    supabase = Supabase(tmp_path_factory.mktemp("elsewhere") / "data")
    supabase.start()
    yield supabase
    supabase.remove()


def variables_of(supabase: Supabase) -> dict[str, str]:
    """What names it in a Sigma's environment: its address and its keys, and not its database."""
    names = ("VITE_SUPABASE_URL", "VITE_SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY")
    return {name: supabase.assignments[name] for name in names}
