"""Sessions, and whose they are: tests/portal.py."""

from tests.portal import (
    cookie,
    nothing_secret_is_logged,
    serving,
    settings,
    sign_in,
    tokens,
    turn_back,
    variables,
)

__all__ = ["cookie", "nothing_secret_is_logged", "serving", "settings", "sign_in", "tokens", "turn_back", "variables"]
