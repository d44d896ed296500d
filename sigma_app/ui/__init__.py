"""Stateless components: they take values and handlers, and know no feature."""
