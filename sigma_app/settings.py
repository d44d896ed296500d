"""The only reader of the environment.

Every variable that Sigma understands is a field here, with its default, its unit and its meaning; `.env.example`
repeats them for people. `load()` reads the process environment and a `.env` file beside the Makefile, and
either returns a frozen `Settings` or raises one `SettingsError` that names every variable at fault at once. A name in
`.env` that is no variable of Sigma's is at fault too; in the process environment, which belongs to other programs as
well, one that is hardly any other program's is worth a warning. The words for it are in variables.py.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from functools import cache, cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, AnyHttpUrl, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sigma_app import variables

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

logger = logging.getLogger(__name__)

PROJECT_ROOT = Path(__file__).resolve().parent.parent

Part = Literal["database", "auth", "payments", "mail"]
PARTS: tuple[Part, ...] = ("database", "auth", "payments", "mail")


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110
_HOST_NAME = re.compile(r"[A-Za-z0-9_.-]+|[0-9A-Fa-f:.]+")  # or an address in numbers
_SENDER = re.compile(r"[^<>@\s]+@[^<>@\s]+|[^<>@\r\n]+<[^<>@\s]+@[^<>@\s]+>")
_STRIPE_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_-]+")
_STRIPE_KEY = re.compile(r"(sk|rk)_(test|live)_[A-Za-z0-9]+")
_SENTRY_DSN = re.compile(r"https?://[^@/\s]+@[^@/\s]+(/[^\s/]+)*/\d+")
_SIGNING_SECRET = re.compile(r"whsec_(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


class SettingsError(Exception):
    """A variable is unknown, missing, malformed or contradicts another; the message has one line for each."""


class Settings(BaseSettings):
    """What the environment says. An empty variable counts as unset."""

    model_config = SettingsConfigDict(
        env_file=PROJECT_ROOT / ".env",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
    )

    # Where and as what it runs
    env: Literal["development", "production"] = Field("development", validation_alias="SIGMA_ENV")
    host: str = Field("127.0.0.1", validation_alias="HOST")
    port: int = Field(3000, ge=1, le=65535, validation_alias="PORT")
    public_url: AnyHttpUrl | None = Field(None, validation_alias="BASE_URL")
    data_dir: Path = Field(PROJECT_ROOT / ".sigma", validation_alias="SIGMA_DATA_DIR")
    allow_local: Annotated[frozenset[Part], NoDecode] = Field(frozenset(), validation_alias="SIGMA_ALLOW_LOCAL")
    trusted_proxies: int = Field(0, ge=0, le=8, validation_alias="TRUSTED_PROXIES")
    allowed_hosts: Annotated[frozenset[str], NoDecode] = Field(frozenset(), validation_alias="SIGMA_ALLOWED_HOSTS")

    # Database
    database_url: SecretStr | None = Field(None, validation_alias="DATABASE_URL")
    database_login_url: SecretStr | None = Field(None, validation_alias="DATABASE_LOGIN_URL")
    database_pool_size: int = Field(10, ge=3, le=200, validation_alias="DATABASE_POOL_SIZE")

    # Several backends share Reflex's state and the limits' counters here; one keeps them in memory
    redis_url: SecretStr | None = Field(None, validation_alias="REFLEX_REDIS_URL")

    # Supabase, Stripe, Resend: with a key set, that part is hosted
    supabase_url: AnyHttpUrl | None = Field(None, validation_alias=AliasChoices("VITE_SUPABASE_URL", "SUPABASE_URL"))
    supabase_anon_key: SecretStr | None = Field(
        None, validation_alias=AliasChoices("VITE_SUPABASE_ANON_KEY", "SUPABASE_ANON_KEY")
    )
    supabase_service_role_key: SecretStr | None = Field(None, validation_alias="SUPABASE_SERVICE_ROLE_KEY")
    stripe_secret_key: SecretStr | None = Field(None, validation_alias="STRIPE_SECRET_KEY")
    stripe_url: AnyHttpUrl = Field(AnyHttpUrl("https://api.stripe.com"), validation_alias="STRIPE_URL")
    stripe_webhook_secret: SecretStr | None = Field(None, validation_alias="STRIPE_WEBHOOK_SECRET")
    stripe_promotion_codes: bool = Field(False, validation_alias="STRIPE_PROMOTION_CODES")
    stripe_automatic_tax: bool = Field(False, validation_alias="STRIPE_AUTOMATIC_TAX")
    resend_api_key: SecretStr | None = Field(None, validation_alias="RESEND_API_KEY")
    resend_api_url: AnyHttpUrl = Field(AnyHttpUrl("https://api.resend.com"), validation_alias="RESEND_API_URL")
    resend_webhook_secret: SecretStr | None = Field(None, validation_alias="RESEND_WEBHOOK_SECRET")
    mail_from: str | None = Field(None, validation_alias="MAIL_FROM")

    # Who may read /metrics from elsewhere; without it only this machine may
    metrics_token: SecretStr | None = Field(None, validation_alias="SIGMA_METRICS_TOKEN", min_length=16)

    # Backups: where a worker makes one every day, if anywhere; what seals them; for how many periods one stays
    backup_dir: Path | None = Field(None, validation_alias="SIGMA_BACKUP_DIR")
    backup_secret: SecretStr | None = Field(None, validation_alias="SIGMA_BACKUP_SECRET", min_length=12)
    backup_keep_daily: int = Field(7, ge=1, validation_alias="SIGMA_BACKUP_KEEP_DAILY")
    backup_keep_weekly: int = Field(5, ge=0, validation_alias="SIGMA_BACKUP_KEEP_WEEKLY")
    backup_keep_monthly: int = Field(12, ge=0, validation_alias="SIGMA_BACKUP_KEEP_MONTHLY")

    # Where errors and traces are told (docs/operations/observability.md), by the names that their SDKs have for them
    sentry_dsn: SecretStr | None = Field(None, validation_alias="SENTRY_DSN")
    otlp_endpoint: AnyHttpUrl | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    otlp_headers: SecretStr | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_HEADERS")
    service_name: str = Field("sigma", validation_alias="OTEL_SERVICE_NAME")
    trace_ratio: float = Field(1.0, ge=0, le=1, validation_alias="OTEL_TRACES_SAMPLER_ARG")

    # Jobs: whether the serving process runs them too; "off" where `python -m sigma_app worker` does
    worker: bool = Field(True, validation_alias="SIGMA_WORKER")
    # Where a worker of its own listens for monitors, on HOST; unset, nowhere
    worker_port: int | None = Field(None, ge=1, le=65535, validation_alias="SIGMA_WORKER_PORT")

    # Who may sign up: anybody, or who was invited
    signup: Literal["open", "invite"] = Field("open", validation_alias="SIGMA_SIGNUP")

    # The portal's sessions, in whole seconds: how long one lasts at most, and how long without a visit
    session_seconds: int = Field(30 * 86400, ge=300, validation_alias="SESSION_SECONDS")
    session_idle_seconds: int = Field(7 * 86400, ge=60, validation_alias="SESSION_IDLE_SECONDS")

    # The embedded Supabase, by the names that its servers give their own variables where they have one, with the
    # defaults of a hosted project; times are whole seconds
    auth_site_url: AnyHttpUrl | None = Field(None, validation_alias="GOTRUE_SITE_URL")
    auth_redirects: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="GOTRUE_URI_ALLOW_LIST")
    auth_closed: bool = Field(False, validation_alias="GOTRUE_DISABLE_SIGNUP")
    auth_email: bool = Field(True, validation_alias="GOTRUE_EXTERNAL_EMAIL_ENABLED")
    auth_autoconfirm: bool = Field(False, validation_alias="GOTRUE_MAILER_AUTOCONFIRM")
    auth_both_addresses: bool = Field(True, validation_alias="GOTRUE_MAILER_SECURE_EMAIL_CHANGE_ENABLED")
    auth_code_length: int = Field(6, ge=6, le=10, validation_alias="GOTRUE_MAILER_OTP_LENGTH")
    auth_code_seconds: int = Field(86400, ge=60, validation_alias="GOTRUE_MAILER_OTP_EXP")
    auth_mail_pause_seconds: int = Field(60, ge=0, validation_alias="GOTRUE_SMTP_MAX_FREQUENCY")
    auth_mails_per_hour: int | None = Field(None, ge=0, validation_alias="GOTRUE_RATE_LIMIT_EMAIL_SENT")
    auth_address_header: str | None = Field(None, validation_alias="GOTRUE_RATE_LIMIT_HEADER")
    auth_limit_refresh: int = Field(150, ge=0, validation_alias="GOTRUE_RATE_LIMIT_TOKEN_REFRESH")  # in 5 minutes
    auth_limit_verify: int = Field(30, ge=0, validation_alias="GOTRUE_RATE_LIMIT_VERIFY")  # in 5 minutes
    auth_limit_mails: int = Field(30, ge=0, validation_alias="GOTRUE_RATE_LIMIT_OTP")  # in 5 minutes
    auth_token_seconds: int = Field(3600, ge=30, le=604800, validation_alias="GOTRUE_JWT_EXP")
    auth_rotation: bool = Field(True, validation_alias="GOTRUE_SECURITY_REFRESH_TOKEN_ROTATION_ENABLED")
    auth_reuse_seconds: int = Field(10, ge=0, validation_alias="GOTRUE_SECURITY_REFRESH_TOKEN_REUSE_INTERVAL")
    auth_session_seconds: int = Field(0, ge=0, validation_alias="GOTRUE_SESSIONS_TIMEBOX")  # 0: for ever
    auth_idle_seconds: int = Field(0, ge=0, validation_alias="GOTRUE_SESSIONS_INACTIVITY_TIMEOUT")  # 0: for ever
    auth_password_length: int = Field(6, ge=6, le=72, validation_alias="GOTRUE_PASSWORD_MIN_LENGTH")
    auth_password_classes: str = Field("", validation_alias="GOTRUE_PASSWORD_REQUIRED_CHARACTERS")
    auth_nonce_for_password: bool = Field(
        False, validation_alias="GOTRUE_SECURITY_UPDATE_PASSWORD_REQUIRE_REAUTHENTICATION"
    )
    auth_current_password: bool = Field(
        False, validation_alias="GOTRUE_SECURITY_UPDATE_PASSWORD_REQUIRE_CURRENT_PASSWORD"
    )
    rest_most_rows: int | None = Field(1000, ge=1, validation_alias="PGRST_DB_MAX_ROWS")
    rest_safe_update: bool = Field(True, validation_alias="PGRST_DB_SAFE_UPDATE")
    rest_statement_seconds: float = Field(8, gt=0, le=600, validation_alias="PGRST_DB_STATEMENT_TIMEOUT")
    rest_body_bytes: int = Field(10 * 1024 * 1024, ge=1024, validation_alias="PGRST_MAX_BODY")
    storage_file_bytes: int = Field(50 * 1024 * 1024, ge=1, validation_alias="STORAGE_FILE_SIZE_LIMIT")

    # Joining: limits in the notation of the `limits` library, several separated by ";"
    join_limit_per_address: str = Field("10/hour", validation_alias="JOIN_LIMIT_PER_ADDRESS")
    join_limit_per_network: str = Field("60/minute;600/hour", validation_alias="JOIN_LIMIT_PER_NETWORK")

    # Visits that are counted of one network; more are not
    visit_limit_per_network: str = Field("60/minute;600/hour", validation_alias="VISIT_LIMIT_PER_NETWORK")

    # Signing up, in and back in: tries for one address from one network, and from one network in all
    account_limit_per_address: str = Field("10/minute;40/hour", validation_alias="ACCOUNT_LIMIT_PER_ADDRESS")
    account_limit_per_network: str = Field("60/minute;600/hour", validation_alias="ACCOUNT_LIMIT_PER_NETWORK")

    # Open pages, by their websockets: how many of one network at a time in one process, and how many events a second of
    # each; a person who types into a field that tells us each letter makes about ten
    socket_limit_per_network: int = Field(200, ge=1, validation_alias="SOCKET_LIMIT_PER_NETWORK")
    socket_events_per_second: int = Field(20, ge=10, validation_alias="SOCKET_EVENTS_PER_SECOND")

    @field_validator("allow_local", "auth_redirects", "allowed_hosts", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value

    @field_validator("data_dir", "backup_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value if value is None or value.is_absolute() else PROJECT_ROOT / value

    @field_validator("database_url", "database_login_url")
    @classmethod
    def _postgres_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _host_names(cls, value: frozenset[str]) -> frozenset[str]:
        if not all(map(_HOST_NAME.fullmatch, value)):
            raise ValueError("must be names such as www.sigma.example.com, separated by commas, without scheme or port")
        return frozenset(name.lower() for name in value)

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: AnyHttpUrl | None) -> AnyHttpUrl | None:
        if value is not None and str(value) != f"{origin_of(value)}/":
            raise ValueError("must be an address such as https://sigma.example.com, with nothing after its port")
        return value

    @field_validator("auth_address_header")
    @classmethod
    def _header_name(cls, value: str | None) -> str | None:
        if value is not None and not _HEADER_NAME.fullmatch(value):
            raise ValueError("must be the name of a header, such as X-Forwarded-For")
        return value

    @field_validator("supabase_anon_key")
    @classmethod
    def _for_browsers(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and variables.role_of(value.get_secret_value()) == "service_role":
            raise ValueError("is the service_role key, which nobody may see; the anon or publishable key belongs here")
        return value

    @field_validator("supabase_service_role_key")
    @classmethod
    def _for_servers(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and variables.role_of(value.get_secret_value()) == "anon":
            raise ValueError("is the anon key, which may do too little; the service_role or secret key belongs here")
        return value

    @field_validator("mail_from")
    @classmethod
    def _sender(cls, value: str | None) -> str | None:
        if value is not None and not _SENDER.fullmatch(value):
            raise ValueError('must be an address such as "Sigma <hello@sigma.example.com>"')
        return value

    @field_validator("stripe_secret_key")
    @classmethod
    def _stripe_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _STRIPE_KEY.fullmatch(value.get_secret_value()):
            raise ValueError("must start with sk_ or rk_, as Stripe shows it under API keys; pk_ keys are for browsers")
        return value

    @field_validator("stripe_webhook_secret")
    @classmethod
    def _stripe_secrets(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not all(map(_STRIPE_SECRET.fullmatch, _listed(value))):
            raise ValueError("must be one or more secrets that start with whsec_, separated by commas")
        return value

    @field_validator("sentry_dsn")
    @classmethod
    def _sentry_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _SENTRY_DSN.fullmatch(value.get_secret_value()):
            raise ValueError("must look like https://key@o1.ingest.sentry.io/2, as Sentry shows it under Client Keys")
        return value

    @field_validator("otlp_headers")
    @classmethod
    def _header_pairs(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not all("=" in pair for pair in _listed(value)):
            raise ValueError("must be pairs such as name=value, separated by commas")
        return value

    @field_validator("resend_webhook_secret")
    @classmethod
    def _signing_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _SIGNING_SECRET.fullmatch(value.get_secret_value()):
            raise ValueError("must start with whsec_, as Resend shows it beside the webhook")
        return value

    @field_validator(
        *("join_limit_per_address", "join_limit_per_network", "visit_limit_per_network"),
        *("account_limit_per_address", "account_limit_per_network"),
    )
    @classmethod
    def _limit_notation(cls, value: str) -> str:
        from limits import parse_many

        try:
            parse_many(value)
        except ValueError:
            raise ValueError('must look like "10/hour" or "60/minute;600/hour"') from None
        return value

    @cached_property
    def base_url(self) -> str:
        """The address people use, without a slash at the end: an origin, as browsers write it."""
        return origin_of(self.public_url) if self.public_url else self.local_url

    @property
    def local_url(self) -> str:
        """Where this machine reaches what listens on HOST and PORT, without a slash at the end."""
        return f"http://{self._reached_at}:{self.port}"

    @property
    def stripe_webhook_secrets(self) -> list[str]:
        """Of Stripe's webhook endpoint; more than one while a new one takes the place of an old one."""
        return _listed(self.stripe_webhook_secret) if self.stripe_webhook_secret else []

    @property
    def mail_sender(self) -> str:
        """Who mails come from, such as `Sigma <hello@sigma.example.com>`."""
        return self.mail_from or f"Sigma <hello@{urlsplit(self.base_url).hostname}>"

    @property
    def is_loopback(self) -> bool:
        """Whether the address that people use leads nowhere but to the machine that they sit at."""
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def _reached_at(self) -> str:
        """The name by which a browser on this machine reaches what listens on HOST."""
        try:
            address = ip_address(self.host)
        except ValueError:
            return self.host.lower()
        if address.is_unspecified or self.host == "127.0.0.1":
            return "localhost"
        return f"[{address}]" if address.version == 6 else str(address)

    def is_hosted(self, part: Part) -> bool:
        """Whether `part` is served by the cloud rather than by Sigma's own stand-in."""
        switches = {
            "database": self.database_url,
            "auth": self.supabase_url,
            "payments": self.stripe_secret_key,
            "mail": self.resend_api_key,
        }
        return switches[part] is not None


def load(**given: Any) -> Settings:
    """Read the environment.

    Args:
        given: values that count instead of what the environment says, by the names of their variables.

    Raises:
        SettingsError: one line for each variable at fault, never with a secret's value in it.
    """
    for warning in variables.unknown(os.environ, set(known_names())):  # first: it may be why something is missing
        logger.warning("%s", warning)
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise SettingsError("\n".join(variables.explain(line, _fields()) for line in error.errors())) from None
    except UnicodeDecodeError:
        raise SettingsError(f".env: not UTF-8. Save {Settings.model_config.get('env_file')} as UTF-8.") from None
    except OSError as error:
        raise SettingsError(f".env: {error.filename}: {error.strerror}. Make it readable, or remove it.") from None
    _refuse_contradictions(settings)
    return settings


@cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return _settled or load()


_settled: Settings | None = None


def settle(settings: Settings) -> None:
    """Make these the settings of this process: of a command that is something else than the application."""
    global _settled
    _settled = settings
    get_settings.cache_clear()


def known_names() -> Iterator[str]:
    """Every variable that Sigma reads."""
    for field in Settings.model_fields.values():
        yield from _names(field)


def _fields() -> dict[str, tuple[str, FieldInfo]]:
    """By each variable's name, its field's name and its field."""
    return {name: (field, info) for field, info in Settings.model_fields.items() for name in _names(info)}


def _names(field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    return [str(name) for name in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]


def _listed(value: SecretStr) -> list[str]:
    return [part.strip() for part in value.get_secret_value().split(",")]


def origin_of(url: AnyHttpUrl) -> str:
    """Scheme, host and port, the last only where it is not the scheme's own."""
    port = "" if url.port == {"http": 80, "https": 443}[url.scheme] else f":{url.port}"
    return f"{url.scheme}://{url.host}{port}"


def _refuse_contradictions(settings: Settings) -> None:
    problems = []
    if settings.supabase_url and not (settings.supabase_anon_key and settings.supabase_service_role_key):
        problems.append(
            "VITE_SUPABASE_URL: needs VITE_SUPABASE_ANON_KEY and SUPABASE_SERVICE_ROLE_KEY beside it"
            " (Supabase dashboard, Project settings, API keys)."
        )
    if settings.stripe_secret_key and not settings.stripe_webhook_secret:
        problems.append("STRIPE_SECRET_KEY: needs STRIPE_WEBHOOK_SECRET beside it (Stripe dashboard, Webhooks).")
    if settings.resend_api_key and not settings.mail_from and settings.is_loopback:
        problems.append(
            "MAIL_FROM: Resend needs a sender of a domain that you verified there:"
            ' MAIL_FROM="Sigma <hello@sigma.example.com>", or a BASE_URL of that domain.'
        )
    if settings.database_login_url and not settings.database_url:
        problems.append("DATABASE_LOGIN_URL: needs DATABASE_URL beside it (the owner's address, for migrations).")
    if settings.env == "production":
        problems += [
            f"SIGMA_ENV: production refuses Sigma's own stand-in for {part}."
            f" Configure the hosted one, or name it in SIGMA_ALLOW_LOCAL."
            for part in PARTS
            if not settings.is_hosted(part) and part not in settings.allow_local
        ]
        if settings.public_url is None or (settings.public_url.scheme != "https" and not settings.is_loopback):
            problems.append(
                "BASE_URL: production needs the public address, an https one, because pages and mails link to it:"
                " BASE_URL=https://sigma.example.com"
            )
    if problems:
        raise SettingsError("\n".join(problems))
