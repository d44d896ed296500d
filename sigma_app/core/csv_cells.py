"""Cells of CSV files that a spreadsheet opens: what begins like a formula stays a text (OWASP, "CSV Injection")."""

from __future__ import annotations

_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_GUARD = "'"


def defused(text: str) -> str:
    """`text` with an apostrophe in front if a spreadsheet would compute it; `plain` takes it away again."""
    return _GUARD + text if text.startswith((*_BEGINS_A_FORMULA, _GUARD)) else text


def plain(cell: str) -> str:
    """What `defused` made `cell` of; any other cell as it is."""
    return cell[1:] if cell.startswith(_GUARD) and cell[1:].startswith((*_BEGINS_A_FORMULA, _GUARD)) else cell
