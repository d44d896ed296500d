"""The real `@supabase/supabase-js`, in Node, against the embedded Supabase served in a process of its own.

The cases are in the `.test.js` files beside this one, one test here for each; Node runs them all at once.
"""

from __future__ import annotations

import pytest

from tests.api.js import node
from tests.sigma import Sigma


@pytest.fixture(scope="module")
def results(served: Sigma) -> dict[node.Case, str | None]:
    with served.database() as owner:
        owner.execute((node.HERE / "things.sql").read_bytes())
    return node.run_all(served.assignments)


def test_node_ran_every_case_and_no_other(results: dict[node.Case, str | None]):
    assert sorted(results) == sorted(node.cases())


@pytest.mark.parametrize("case", node.cases(), ids=" ".join)
def test_supabase_js(case: node.Case, results: dict[node.Case, str | None]):
    if reason := results.get(case, "it did not run"):
        pytest.fail(reason, pytrace=False)


def test_the_lock_file_names_no_registry():
    assert "://" not in (node.HERE / "package-lock.json").read_text()
