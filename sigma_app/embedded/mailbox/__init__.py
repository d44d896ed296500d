"""The mailbox that stands in for Resend: its API, what it keeps, and the page that shows it."""
