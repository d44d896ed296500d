"""The real `@supabase/supabase-js`, in Node, against the embedded Supabase served in a process of its own.

The cases are in the `.test.js` files beside this one, one test here for each; Node runs them all at once.
"""

from __future__ import annotations

import pytest

from tests.api.js import node
from tests.sigma import Sigma


@pytest.fixture(scope="module")
def results(served: Sigma) -> dict[node.Case, str | None]:
    return node.run_all(served.assignments)


def test_node_ran_every_case_and_no_other(results: dict[node.Case, str | None]):
    assert sorted(results) == sorted(node.cases())


@pytest.mark.parametrize("case", node.cases(), ids=" ".join)
def test_supabase_js(case: node.Case, results: dict[node.Case, str | None]):
    assert results.get(case, "did not run") is None, results.get(case)
