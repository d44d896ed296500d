"""How Sigma grows: who comes, and what becomes of them, in numbers that are nobody's."""
