"""The signs that enclose, in an exported page, what the server fills in per request: no words of ours have them."""

OPEN, CLOSE = "⟦", "⟧"
