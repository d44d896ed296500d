"""What the environment says: read once, refused in one line, never shown where it may be a secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from pydantic import AnyHttpUrl, SecretStr
from pydantic.fields import FieldInfo

from sigma_app import settings, variables
from sigma_app.settings import PROJECT_ROOT, Settings, SettingsError, get_settings, known_names, load


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Nothing is set, and .env is one of the test's own."""
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", tmp_path / ".env")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def refusal() -> str:
    with pytest.raises(SettingsError) as raised:
        load()
    return str(raised.value)


def test_settings_are_read_once_and_cannot_be_changed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PORT", "3210")
    first = get_settings()
    monkeypatch.setenv("PORT", "3211")
    assert get_settings() is first
    assert first.port == 3210
    with pytest.raises(Exception, match="frozen"):
        first.port = 1  # pyright: ignore[reportAttributeAccessIssue]


def test_another_programs_variable_is_not_taken_for_one_of_ours(monkeypatch: pytest.MonkeyPatch):
    names = {name.upper() for name in Settings.model_fields} - set(known_names())
    assert {"ENV", "REDIS_URL", "PUBLIC_URL", "DATA_DIR"} <= names
    for name in names:
        monkeypatch.setenv(name, "another program's")
    assert load().env == "development"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://localhost:3000"),
        ("0.0.0.0", "http://localhost:3000"),  # noqa: S104 - a wildcard is what is tested
        ("::", "http://localhost:3000"),
        ("127.0.0.2", "http://127.0.0.2:3000"),
        ("192.168.1.4", "http://192.168.1.4:3000"),
        ("::1", "http://[::1]:3000"),
        ("Box.lan", "http://box.lan:3000"),
    ],
)
def test_the_announced_address_is_one_that_answers(monkeypatch: pytest.MonkeyPatch, host: str, address: str):
    monkeypatch.setenv("HOST", host)
    assert load().base_url == address


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://Sigma.example.com/", "https://sigma.example.com"),
        ("https://sigma.example.com:443", "https://sigma.example.com"),
        ("http://[fd00::1]:3000", "http://[fd00::1]:3000"),
    ],
)
def test_the_public_address_is_written_as_browsers_write_an_origin(
    monkeypatch: pytest.MonkeyPatch, given: str, origin: str
):
    monkeypatch.setenv("BASE_URL", given)
    assert load().base_url == origin


@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        ("https://sigma.example.com", True),
        ("http://localhost:3000", True),
        ("http://127.0.0.2:3000", True),
        ("http://[::1]:3000", True),
        ("http://sigma.example.com", False),
        ("http://localhost.example.com", False),
        ("http://192.168.1.4:3000", False),
        ("", False),
    ],
)
def test_production_insists_on_a_public_address_that_links_can_carry(
    monkeypatch: pytest.MonkeyPatch, given: str, accepted: bool
):
    monkeypatch.setenv("BASE_URL", given)
    assert load().env == "development"
    monkeypatch.setenv("SIGMA_ENV", "production")
    monkeypatch.setenv("SIGMA_ALLOW_LOCAL", ",".join(settings.PARTS))
    if accepted:
        assert load().env == "production"
    else:
        assert refusal().startswith("BASE_URL: production needs the public address, an https one")


@pytest.mark.parametrize("more", ["/app", "/?a=b", "/#top", "?", "//"])
def test_a_public_address_with_more_than_an_origin_is_refused(monkeypatch: pytest.MonkeyPatch, more: str):
    monkeypatch.setenv("BASE_URL", f"https://sigma.example.com{more}")
    assert refusal().startswith("BASE_URL: must be an address such as")
    assert len(refusal().splitlines()) == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "postgres//owner:s3cret@host/sigma"),
        ("DATABASE_LOGIN_URL", "mysql://owner:s3cret@host/sigma"),
        ("VITE_SUPABASE_URL", "https://owner:s3cret@host:port"),
        ("SUPABASE_URL", "https//owner:s3cret@host"),
        ("BASE_URL", "https://owner:s3cret@sigma.example.com"),
        ("STRIPE_SECRET_KEY", "sk_live_s3cret"),
        ("SENTRY_DSN", "https://s3cret.example.com"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Bearer s3cret"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "owner:s3cret@collector"),
        ("REFLEX_REDIS_URL", "http://:s3cret@localhost:6379"),
    ],
)
def test_a_refusal_names_the_variable_and_shows_no_secret(monkeypatch: pytest.MonkeyPatch, variable: str, value: str):
    monkeypatch.setenv(variable, value)
    assert refusal().startswith(variable.replace("SUPABASE_URL", "VITE_SUPABASE_URL").replace("VITE_VITE", "VITE"))
    assert "s3cret" not in refusal()


@pytest.mark.parametrize("value", ["https://www.sigma.example.com", "www.sigma.example.com:443", "a name", "a/b", "*"])
def test_a_further_name_is_a_name_alone(monkeypatch: pytest.MonkeyPatch, value: str):
    monkeypatch.setenv("SIGMA_ALLOWED_HOSTS", f"sigma.example.com, {value}")
    assert refusal().startswith("SIGMA_ALLOWED_HOSTS: must be names such as")


def test_further_names_are_read_in_any_case(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SIGMA_ALLOWED_HOSTS", "WWW.Sigma.example.com, 10.0.0.5, 2001:db8::1")
    assert load().allowed_hosts == {"www.sigma.example.com", "10.0.0.5", "2001:db8::1"}


def test_a_refusal_shows_a_value_that_is_no_secret(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PORT", "abc")
    assert "(is 'abc')" in refusal()


def test_every_variable_that_may_hold_a_secret_is_known_as_one_by_its_name():
    may_hold = [
        name
        for info in Settings.model_fields.values()
        if info.annotation in (SecretStr | None, AnyHttpUrl | None)
        for name in settings._names(info)
    ]
    assert len(may_hold) >= 10
    assert [name for name in may_hold if not name.endswith(variables.SECRET_ENDINGS)] == []


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("RESEND_APIKEY", "Did you mean RESEND_API_KEY?"),
        ("STRIPE_SECRETKEY", "Did you mean STRIPE_SECRET_KEY?"),
        ("base_ulr", "Did you mean BASE_URL?"),
        ("SIGMA_ALLOW_LOCALS", "Did you mean SIGMA_ALLOW_LOCAL?"),
        ("STRIPE_API_KEY", "Remove it from .env, or turn it into a comment."),
        ("GOTRUE_SITE_ULR", "Did you mean GOTRUE_SITE_URL?"),
        ("GOTRUE_JWT_SECRET", "Remove it from .env, or turn it into a comment."),
        ("GOTRUE_EXTERNAL_PHONE_ENABLED", "Remove it from .env, or turn it into a comment."),
        ("SOMETHING", "Remove it from .env, or turn it into a comment."),
    ],
)
def test_a_name_in_the_env_file_that_sigma_does_not_know_is_refused(tmp_path: Path, name: str, rest: str):
    (tmp_path / ".env").write_text(f"{name}=s3cret\n")
    assert refusal() == f"{name.upper()}: not a variable that Sigma knows. {rest}"


def test_every_unknown_name_is_named_at_once_beside_the_malformed_values(tmp_path: Path):
    (tmp_path / ".env").write_text("PROT=3001\nPORT=abc\nexport RESEND_APIKEY=s3cret\n")
    assert sorted(line.split(":")[0] for line in refusal().splitlines()) == ["PORT", "PROT", "RESEND_APIKEY"]


def test_a_passphrase_is_long_and_never_shown_and_a_directory_is_the_checkouts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SIGMA_BACKUP_SECRET", "s3cret")
    assert refusal() == (
        "SIGMA_BACKUP_SECRET: must be at least 12 characters long. Correct or remove it in the environment or in .env."
    )
    monkeypatch.setenv("SIGMA_BACKUP_SECRET", "s3cret" * 2)
    monkeypatch.setenv("SIGMA_BACKUP_DIR", "backups")
    read = load()
    assert read.backup_dir == PROJECT_ROOT / "backups"
    assert "s3cret" not in repr(read)


JUDGED_BY_US = {
    "BASE_URL": "https://sigma.example.com/app",
    "SIGMA_ALLOWED_HOSTS": "a/b",
    "DATABASE_URL": "mysql://s3cret",
    "DATABASE_LOGIN_URL": "mysql://s3cret",
    "REFLEX_REDIS_URL": "http://s3cret",
    "VITE_SUPABASE_ANON_KEY": "sb_secret_s3cret",
    "SUPABASE_SERVICE_ROLE_KEY": "sb_publishable_s3cret",
    "STRIPE_SECRET_KEY": "s3cret",
    "STRIPE_WEBHOOK_SECRET": "s3cret",
    "RESEND_WEBHOOK_SECRET": "s3cret",
    "MAIL_FROM": "Sigma",
    "SENTRY_DSN": "s3cret",
    "OTEL_EXPORTER_OTLP_HEADERS": "s3cret",
    "GOTRUE_RATE_LIMIT_HEADER": "a b",
    "JOIN_LIMIT_PER_ADDRESS": "many",
    "JOIN_LIMIT_PER_NETWORK": "many",
    "VISIT_LIMIT_PER_NETWORK": "many",
    "ACCOUNT_LIMIT_PER_ADDRESS": "many",
    "ACCOUNT_LIMIT_PER_NETWORK": "many",
}
"""Of each variable that a validator of ours may refuse, a value that it does."""
ONLY_SHAPED = {"data_dir", "backup_dir", "allow_local", "auth_redirects"}
"""Fields whose validator refuses nothing."""
FREE = {str, Path, SecretStr, tuple[str, ...], frozenset[str]}
"""Types of which pydantic refuses no text, but for a bound."""


def refused_by_type(info: FieldInfo) -> Iterator[str]:
    """Texts that a field's type refuses, or one of its bounds."""
    if variables._kind_of(info) not in FREE:
        yield "s3cret"
    for one in info.metadata:
        for bound, beyond in (("ge", -1), ("gt", 0), ("le", 1)):
            if (limit := getattr(one, bound, None)) is not None:
                yield str(limit + beyond)
        if length := getattr(one, "min_length", None):
            yield "s3cret s3cret s3cret"[: length - 1]


WRONG = [
    *((settings._names(info)[0], value) for info in Settings.model_fields.values() for value in refused_by_type(info)),
    *JUDGED_BY_US.items(),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda one: one or "empty")
def test_whatever_is_wrong_is_told_by_name_and_with_what_would_be_right_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    monkeypatch.setenv(name, value)
    told = refusal()
    assert re.match(rf"{name}: (must|is the) ", told)
    assert told.endswith(". Correct or remove it in the environment or in .env.")
    assert not re.search("valid|input|should|items", told, re.IGNORECASE), "These are pydantic's words."
    shown = f" (is {value!r})."
    assert (shown in told) is not name.endswith(variables.SECRET_ENDINGS)
    assert "s3cret" not in told.replace(shown, "")
    assert len(told.splitlines()) == 1


def test_every_setting_that_has_a_constraint_is_among_them():
    judged = {name for one in Settings.__pydantic_decorators__.field_validators.values() for name in one.info.fields}
    bound = {field for field, info in Settings.model_fields.items() if [*refused_by_type(info)]}
    fields = {name: field for name, (field, _) in settings._fields().items()}
    assert {fields[name] for name in JUDGED_BY_US} == judged - ONLY_SHAPED
    assert {fields[name] for name, _ in WRONG} == (judged - ONLY_SHAPED) | bound
    assert {"port", "env", "worker", "stripe_url", "metrics_token", "allow_local", "trace_ratio"} <= bound


def test_the_example_has_every_variable_and_no_other():
    example = (PROJECT_ROOT / ".env.example").read_text()
    named = re.findall(r"^# ([A-Z_]+)=", example, re.MULTILINE)
    assert set(named) | {"SUPABASE_URL", "SUPABASE_ANON_KEY"} == set(known_names())
    assert len(named) == len(set(named))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RESEND_APIKEY", "RESEND_API_KEY"),
        ("STRIPE_SECRETKEY", "STRIPE_SECRET_KEY"),
        ("DATABASE_ULR", "DATABASE_URL"),
        ("VITE_SUPABASE_ANONKEY", "VITE_SUPABASE_ANON_KEY"),
        ("SIGMA_ALOW_LOCAL", "SIGMA_ALLOW_LOCAL"),
        ("JOIN_LIMIT_PER_ADRESS", "JOIN_LIMIT_PER_ADDRESS"),
    ],
)
def test_a_misspelt_name_in_the_environment_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, meant: str
):
    monkeypatch.setenv(name, "s3cret")
    load()
    assert caplog.messages == [f"{name}: not a variable that Sigma knows. Did you mean {meant}?"]


@pytest.mark.parametrize("name", ["GOTRUE_JWT_SECRET", "GOTRUE_SMTP_HOST", "PGRST_DB_SCHEMAS", "STORAGE_BACKEND"])
def test_a_variable_of_supabases_servers_that_sigma_does_not_know_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
):
    monkeypatch.setenv(name, "s3cret")
    load()
    assert caplog.messages == [f"{name}: not a variable that Sigma knows; it changes nothing."]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("GOTRUE_JWT_EXP", "1h", "whole seconds without a unit, at least 30 and at most 604800, such as 3600"),
        ("GOTRUE_SMTP_MAX_FREQUENCY", "60s", "whole seconds without a unit, at least 0, such as 3600"),
        (
            "PGRST_DB_STATEMENT_TIMEOUT",
            "8s",
            "seconds without a unit, more than 0 and at most 600, such as 8 or 0.5",
        ),
        (
            "STORAGE_FILE_SIZE_LIMIT",
            "50MB",
            "bytes, a whole number without a unit, at least 1, such as 52428800",
        ),
        ("GOTRUE_PASSWORD_MIN_LENGTH", "5", "a whole number, at least 6 and at most 72"),
        ("GOTRUE_RATE_LIMIT_HEADER", "X Forwarded", "the name of a header, such as X-Forwarded-For"),
        ("GOTRUE_RATE_LIMIT_HEADER", "X-Real-IP:", "the name of a header, such as X-Forwarded-For"),
    ],
)
def test_a_value_of_the_stand_ins_that_cannot_be_one_is_refused_with_what_could(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
):
    monkeypatch.setenv(name, value)
    assert refusal() == f"{name}: must be {reason} (is {value!r}). Correct or remove it in the environment or in .env."


def key(role: object) -> str:
    return jwt.encode({"iss": "supabase", "role": role}, "s3cret" * 8, "HS256")


ANON, SERVICE = "VITE_SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (ANON, key("service_role")),
        (ANON, "sb_secret_s3cret"),
        (SERVICE, key("anon")),
        (SERVICE, "sb_publishable_s3cret"),
    ],
)
def test_a_key_in_the_place_of_the_other_is_refused_by_the_variables_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    monkeypatch.setenv(name, value)
    assert refusal().startswith(f"{name}: is the {'anon' if name == SERVICE else 'service_role'} key, which ")
    assert len(refusal().splitlines()) == 1
    assert value not in refusal()


@pytest.mark.parametrize(
    ("anon", "service"),
    [
        (key("anon"), key("service_role")),
        ("sb_publishable_s3cret", "sb_secret_s3cret"),
        ("anon", "service"),
        ("a.b.c", "ü.ü.ü"),
        (key(["service_role"]), key(None)),
    ],
)
def test_keys_in_their_places_and_those_that_do_not_say_what_they_are_are_taken(
    monkeypatch: pytest.MonkeyPatch, anon: str, service: str
):
    monkeypatch.setenv("VITE_SUPABASE_URL", "https://x.supabase.co")
    monkeypatch.setenv(ANON, anon)
    monkeypatch.setenv(SERVICE, service)
    assert load().is_hosted("auth")


def test_other_programs_variables_raise_no_alarm(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    others = [
        "SUPABASE_ACCESS_TOKEN",
        "SUPABASE_DB_PASSWORD",
        "SUPABASE_DB_URL",
        "SUPABASE_SERVICE_KEY",
        "SUPABASE_JWT_SECRET",
        "STRIPE_API_KEY",
        "STRIPE_PUBLISHABLE_KEY",
        "STRIPE_ACCOUNT",
        "RESEND_FROM",
        "VITE_SUPABASE_PUBLISHABLE_KEY",
        "DATABASE_HOST",
        "DATABASE_PORT",
        "DATABASE_USER",
        "DATABASE_NAME",
        "DATABASE_PASSWORD",
        "DATABASE_DIRECT_URL",
        "TEST_DATABASE_URL",
        "SIGMA_VERSION",
        "PORTS",
        "HOSTS",
        "BASEURL",
        "REFLEX_REDIS_URLS",
    ]
    for name in others:
        monkeypatch.setenv(name, "another program's")
    load()
    assert caplog.messages == []


def test_an_env_file_that_is_not_utf_8_is_one_line_that_names_it(tmp_path: Path):
    (tmp_path / ".env").write_bytes("SIGMA_DATA_DIR=größe".encode("latin-1"))
    assert refusal().startswith(".env: not UTF-8")
    assert len(refusal().splitlines()) == 1


def test_an_env_file_that_may_not_be_read_is_one_line_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / ".env"
    file.write_text("PORT=3001")
    file.chmod(0)
    if os.access(file, os.R_OK):  # root may read everything

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied", str(file))

        monkeypatch.setattr("dotenv.main.open", refuse, raising=False)
    assert refusal() == f".env: {file}: Permission denied. Make it readable, or remove it."


def test_mail_comes_from_hello_at_the_public_host_unless_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BASE_URL", "https://sigma.example.com:8443")
    assert load().mail_sender == "Sigma <hello@sigma.example.com>"
    monkeypatch.setenv("MAIL_FROM", "Sigma <list@example.com>")
    assert load().mail_sender == "Sigma <list@example.com>"


def test_resend_needs_a_sender_that_is_not_this_machine(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RESEND_API_KEY", "re_s3cret")
    assert refusal().startswith("MAIL_FROM: Resend needs a sender")
    assert len(refusal().splitlines()) == 1
    monkeypatch.setenv("MAIL_FROM", "hello@sigma.example.com")
    assert load().is_hosted("mail")


@pytest.mark.parametrize("given", ["Sigma", "Sigma hello@example.com", "a@b@c", "<hello@example.com>", "Sigma <a@b> x"])
def test_a_sender_that_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, given: str):
    monkeypatch.setenv("MAIL_FROM", given)
    assert refusal().startswith("MAIL_FROM: must be an address such as")


@pytest.mark.parametrize("given", ["s3cret", "whsec_", "whsec_s3cret!", "whsec_s3cre"])
def test_a_webhook_secret_that_can_verify_nothing_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, given: str):
    monkeypatch.setenv("RESEND_WEBHOOK_SECRET", given)
    assert refusal().startswith("RESEND_WEBHOOK_SECRET: must start with whsec_")
    assert "s3cre" not in refusal()
