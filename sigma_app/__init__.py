"""Sigma: the waitlist and account portal. docs/architecture.md says where everything is."""
