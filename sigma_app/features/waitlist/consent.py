"""The words a visitor agrees to by joining, and their version; each lead keeps the version it agreed to.

Change the words and the version together: a stored version has to lead back to one text.
"""

CONSENT_TEXT = "By joining you agree to get e-mail about your place in line. Unsubscribe any time."
CONSENT_VERSION = "2026-11-22"
