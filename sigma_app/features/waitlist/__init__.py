"""Joining the waitlist: the landing page, the form behind it, and the count of founders."""
