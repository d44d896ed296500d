"""docs/operations/faults.md names the test of each fault: all that are here, and none that is not."""

from __future__ import annotations

import re
from pathlib import Path

from tests.sigma import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "operations" / "faults.md"


def test_the_page_names_every_fault_s_test():
    here = {path.name for path in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).name}
    assert set(re.findall(r"`(test_\w+\.py)`", PAGE.read_text())) == here
