"""Mail to people: who gets none, and what comes back about it."""
