"""A portal with a till, for what is kept about a person."""

from tests.features.billing.conftest import door, shop
from tests.portal import cookie, mailing, serving, session, settings, sign_in, tokens, turn_back, variables

__all__ = [
    "cookie",
    "door",
    "mailing",
    "serving",
    "session",
    "settings",
    "shop",
    "sign_in",
    "tokens",
    "turn_back",
    "variables",
]
