"""The words a visitor agrees to by joining, and their version; each lead keeps the version it agreed to.

New words get a new version at the end of `CONSENTS`, and the old ones stay: a stored version has to lead back to one
text, and a page that was opened yesterday still shows yesterday's.
"""

CONSENTS = {
    "2026-11-22": "By joining you agree to get e-mail about your place in line. Unsubscribe any time.",
    "2026-11-22.2": "By joining you agree to e-mail about your place in line and an invitation. Unsubscribe any time.",
}
CONSENT_VERSION, CONSENT_TEXT = list(CONSENTS.items())[-1]


def agreed_version(posted: str) -> str:
    """The version a form showed, as it says itself; the present one where it says nothing that we know."""
    return posted if posted in CONSENTS else CONSENT_VERSION
