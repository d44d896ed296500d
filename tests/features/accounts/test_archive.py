"""What somebody takes along: all that we hold about them, nothing of anybody else, and nothing that opens anything."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from sigma_app.features.accounts import pictures
from sigma_app.features.accounts.archive import archive
from sigma_app.features.accounts.service import ProfileMissing
from sigma_app.features.mail import record
from sigma_app.features.waitlist.consent import CONSENT_TEXT, CONSENT_VERSION
from sigma_app.gateways.accounts import Tokens
from sigma_app.session import store
from sigma_app.session.store import Session
from tests.features.accounts.people import join_waitlist, png, signed_in
from tests.portal import SignIn

pytestmark = pytest.mark.anyio


async def taken_along(session: Session, tokens: Tokens) -> dict[str, bytes]:
    """The files of the ZIP, by name."""
    with zipfile.ZipFile(io.BytesIO(await archive(session, tokens))) as packed:
        assert packed.testzip() is None
        return {name: packed.read(name) for name in packed.namelist()}


async def told(session: Session, tokens: Tokens) -> dict[str, Any]:
    return json.loads((await taken_along(session, tokens))["data.json"])


def times_in(value: Any) -> Iterator[str]:
    """Whatever is called as a time, `…_at`, and is there."""
    if isinstance(value, list):
        for one in value:
            yield from times_in(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name.endswith("_at") and one is not None:
                yield one
            else:
                yield from times_in(one)


async def test_there_is_the_account_the_profile_and_the_devices(
    session: Session, tokens: Tokens, owner: psycopg.Connection, turn_back: Callable[..., None]
):
    turn_back(created_at="2 hours")
    owner.execute(
        "update profiles set name = 'Alice Ångström', customer_id = 'cus_1', price_id = 'price_1', has_access = true"
        " where id = %s",
        [session.user_id],
    )
    await store.open_session(tokens, "Alice's telephone")
    data = await told(session, tokens)
    assert set(data) == {"made_at", "account", "profile", "devices", "waitlist", "mails", "billing"}
    assert data["account"] == {"id": str(session.user_id), "email": "alice@example.com"}
    columns = owner.execute(
        "select column_name from information_schema.columns where table_schema = 'public' and table_name = 'profiles'"
    ).fetchall()
    assert set(data["profile"]) == {name for (name,) in columns}
    assert (
        data["profile"]
        | {
            "id": str(session.user_id),
            "name": "Alice Ångström",
            "email": "alice@example.com",
            "image": None,
            "customer_id": "cus_1",
            "price_id": "price_1",
            "has_access": True,
        }
        == data["profile"]
    )
    assert [one["browser"] for one in data["devices"]] == ["Alice's telephone", "Alice's browser"]
    assert datetime.fromisoformat(data["devices"][1]["signed_in_at"]) == session.created_at - timedelta(hours=2)
    assert datetime.fromisoformat(data["devices"][1]["last_seen_at"]) == session.seen_at


async def test_who_is_on_no_list_is_told_so(session: Session, tokens: Tokens):
    await join_waitlist("bob@example.com")
    assert (await told(session, tokens))["waitlist"] is None


async def test_who_is_on_the_list_gets_all_of_it_with_the_words_they_agreed_to(
    session: Session, tokens: Tokens, owner: psycopg.Connection
):
    await join_waitlist("Alice@example.com", utm_source="a friend", referral_code="BOB7")
    lead = (await told(session, tokens))["waitlist"]
    columns = owner.execute(
        "select column_name from information_schema.columns where table_schema = 'public' and table_name = 'leads'"
    ).fetchall()
    assert set(lead) == {name for (name,) in columns} | {"consents"}
    assert (lead["email"], lead["utm_source"], lead["referral_code"]) == ("Alice@example.com", "a friend", "BOB7")
    (consent,) = lead["consents"]
    assert (consent["version"], consent["wording"]) == (CONSENT_VERSION, CONSENT_TEXT)
    assert "lead_id" not in consent


async def test_what_is_kept_of_mails_is_in_it_and_that_of_nobody_elses(session: Session, tokens: Tokens):
    for name in ("Alice", "bob"):
        await record.begin(f"{name}@example.com", f"test/{name}", f"test:{name}", account=True)
    (kept,) = (await told(session, tokens))["mails"]
    assert (kept["kind"], kept["state"]) == ("test:Alice", "queued")


async def test_there_is_a_picture_where_there_is_one(session: Session, tokens: Tokens):
    assert set(await taken_along(session, tokens)) == {"data.json"}
    await pictures.change(session, tokens, png())
    files = await taken_along(session, tokens)
    assert set(files) == {"data.json", "picture.webp"}
    found = await pictures.read(session, tokens)
    assert found
    assert files["picture.webp"] == found[1]
    assert files["picture.webp"].startswith(b"RIFF")
    await pictures.change(session, tokens, None)
    assert set(await taken_along(session, tokens)) == {"data.json"}


async def test_times_are_by_iso_8601_with_their_zone(session: Session, tokens: Tokens):
    await join_waitlist("alice@example.com")
    data = await told(session, tokens)
    times = list(times_in(data))
    assert len(times) >= 8  # made, twice in the profile, twice a device, twice a lead and its consent
    for time in times:
        assert time[10] == "T"
        moment = datetime.fromisoformat(time)
        assert moment.utcoffset() is not None
        assert datetime.now(UTC) - moment < timedelta(minutes=5)


async def test_nothing_of_anybody_else_is_in_it(
    session: Session, tokens: Tokens, sign_in: SignIn, owner: psycopg.Connection
):
    bob, bobs_tokens = await signed_in(sign_in, "bob")
    owner.execute("update profiles set name = 'Robert' where id = %s", [bob.user_id])
    await pictures.change(bob, bobs_tokens, png("green"))
    for email in ("bob@example.com", "alice@example.com"):
        await join_waitlist(email)
    files = await taken_along(session, tokens)
    assert set(files) == {"data.json"}
    text = files["data.json"].decode()
    assert "alice@example.com" in text
    for word in ("bob", "Robert", str(bob.user_id), str(bob.id)):
        assert word.lower() not in text.lower()


async def test_nothing_in_it_opens_anything(
    session: Session, cookie: str, tokens: Tokens, sign_in: SignIn, owner: psycopg.Connection
):
    other = await sign_in("alice")
    other_cookie = await store.open_session(other, "Alice's telephone")
    await join_waitlist("alice@example.com")
    await pictures.change(session, tokens, png())
    links = [str(row[0]) for row in owner.execute("select id from sigma.lead_links").fetchall()]
    sealed = [bytes(row[0]).hex() for row in owner.execute("select tokens from sigma.sessions").fetchall()]
    digests = [bytes(row[0]).hex() for row in owner.execute("select digest from sigma.sessions").fetchall()]
    (hashed,) = owner.execute(
        "select encrypted_password from auth.users where id = %s", [session.user_id]
    ).fetchone() or ("",)
    assert links
    assert hashed
    files = await taken_along(session, tokens)
    told_all = b"".join(files.values()).decode(errors="replace")
    secrets = [cookie, tokens.access, tokens.refresh, other_cookie, other.access, other.refresh, hashed]
    for secret in [*secrets, *links, *sealed, *digests]:
        assert secret not in told_all


async def test_without_a_profile_there_is_no_archive(session: Session, tokens: Tokens, owner: psycopg.Connection):
    owner.execute("delete from profiles where id = %s", [session.user_id])
    with pytest.raises(ProfileMissing):
        await archive(session, tokens)
