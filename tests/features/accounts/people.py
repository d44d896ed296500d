"""What people with an account have in these tests: a picture, files in their folder, an address on the waitlist."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import psycopg
from PIL import Image
from psycopg import sql

from sigma_app.core.database import ANONYMOUS, SERVICE, Step, get_database
from sigma_app.features.waitlist import service as waitlist
from sigma_app.features.waitlist.consent import CONSENT_VERSION
from sigma_app.gateways.accounts import Tokens
from sigma_app.gateways.identity import reaching_supabase
from sigma_app.gateways.pictures import BUCKET
from sigma_app.session import store
from sigma_app.session.store import Session
from tests.portal import SignIn


@dataclass
class People:
    """Alice and Bob, each with a browser in which they are signed in."""

    alice: Session
    tokens: Tokens
    bob: Session
    bobs_tokens: Tokens


async def signed_in(sign_in: SignIn, name: str) -> tuple[Session, Tokens]:
    """Somebody's session in a browser of their own, and what opens Supabase to them."""
    tokens = await sign_in(name)
    session = await store.find(await store.open_session(tokens, f"{name.capitalize()}'s browser"))
    assert session
    return session, tokens


def png(colour: str = "red") -> bytes:
    """A small picture, as it is uploaded."""
    return _saved(colour, "PNG")


def webp() -> bytes:
    """A small picture, as it is kept."""
    return _saved("blue", "WEBP")


def _saved(colour: str, kind: str) -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 4), colour).save(file, kind)
    return file.getvalue()


async def folder_of(session: Session) -> list[str]:
    """The files in somebody's folder, as the service sees them."""
    async with reaching_supabase(as_service=True) as client:
        found = await client.storage.from_(BUCKET).list(str(session.user_id))
    return sorted(file["name"] for file in found)


async def join_waitlist(email: str, **arrival: str) -> None:
    """Put an address on the list, with its consent in the ledger, as the form does."""
    address = waitlist.read_address(email)
    lead = waitlist.new_lead(address, waitlist.read_arrival("", "") | arrival, CONSENT_VERSION)
    await get_database().run(Step(ANONYMOUS, *waitlist.joining([lead])), Step(SERVICE, *waitlist.consenting([lead])))


def places_of(owner: psycopg.Connection, *words: str) -> list[str]:
    """The tables, of any schema, in which a row has one of these words in it."""
    tables = owner.execute(
        "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
    ).fetchall()
    found = []
    for schema, table in tables:
        asked = sql.SQL("select 1 from {} as t where lower(t::text) like any(%s) limit 1")
        likes = [f"%{word.lower()}%" for word in words]
        if owner.execute(asked.format(sql.Identifier(schema, table)), [likes]).fetchone():
            found.append(f"{schema}.{table}")
    return sorted(found)
