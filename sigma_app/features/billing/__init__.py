"""Paying, and what it opens: plans, checkout, Stripe's webhooks, access and its reasons."""
