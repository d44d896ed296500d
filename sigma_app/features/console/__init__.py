"""The operator's console: what happened, to whom, and what to do about it."""
