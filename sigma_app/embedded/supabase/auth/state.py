"""What the endpoints have in common: settings, keys, and the parts that remember something."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from sigma_app.embedded.supabase.auth.errors import AuthError, invalid
from sigma_app.embedded.supabase.auth.limits import Limits
from sigma_app.embedded.supabase.auth.passwords import MOST_BYTES, Passwords
from sigma_app.embedded.supabase.auth.redirects import Redirects
from sigma_app.embedded.supabase.keys import Keys
from sigma_app.settings import Settings


@dataclass(frozen=True)
class Auth:
    """One for each service."""

    settings: Settings
    keys: Keys
    passwords: Passwords
    redirects: Redirects
    limits: Limits

    @property
    def is_closed(self) -> bool:
        """Whether nobody may sign up by themselves: invitations and administrators still make users."""
        return self.settings.auth_closed or self.settings.signup == "invite"

    def require_email_provider(self, status: int = 400, message: str = "Email logins are disabled") -> None:
        """Refuse where e-mail is switched off.

        Raises:
            AuthError: `email_provider_disabled`.
        """
        if not self.settings.auth_email:
            raise AuthError(status, "email_provider_disabled", message)

    def require_strength(self, password: str) -> None:
        """Refuse a new password that bcrypt would cut, or that is too weak.

        Raises:
            AuthError: 400 `validation_failed`, 422 `weak_password`.
        """
        if self.passwords.too_long(password):
            raise invalid(f"Password cannot be longer than {MOST_BYTES} characters")
        if reasons := self.passwords.check_strength(password):
            message = self.passwords.explain(reasons)
            raise AuthError(422, "weak_password", message, weak_password={"reasons": reasons})


def auth_of(request: Request) -> Auth:
    """What the service of this request was made with."""
    return request.app.state.auth
