"""Everything we hold about somebody, as they take it along: one JSON file, and their picture, in a ZIP."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime
from typing import Any

from sigma_app.core.database import SERVICE, get_database
from sigma_app.features.accounts import pictures
from sigma_app.features.accounts.service import read_profile
from sigma_app.features.billing import service as billing
from sigma_app.features.mail import service as mail
from sigma_app.features.waitlist import service as waitlist
from sigma_app.gateways.accounts import Tokens
from sigma_app.session import store
from sigma_app.session.store import Session


async def archive(session: Session, tokens: Tokens) -> bytes:
    """The ZIP of whoever is signed in: `data.json`, and `picture.webp` if there is one.

    The profile is read as its owner. What the waitlist and the record of mails have of the address is theirs: they
    proved it to be.

    Raises:
        IdentityRefused, IdentityUnavailable, DatabaseUnavailable, ProfileMissing: something could not be read.
    """
    profile = await read_profile(session)
    async with get_database().transaction(SERVICE) as transaction:
        lead = await waitlist.what_is_kept(transaction, session.email)
        mails = await mail.on_record(transaction, session.email)
    told: dict[str, Any] = {
        "made_at": datetime.now(UTC),
        "account": {"id": session.user_id, "email": session.email},
        "profile": profile.model_dump(),
        "devices": [
            {"browser": one.user_agent, "signed_in_at": one.created_at, "last_seen_at": one.seen_at}
            for one in await store.sessions_of(session.user_id)
        ],
        "waitlist": lead,
        "mails": mails,
        "billing": await billing.what_is_kept(session.user_id, session.actor),
    }
    picture = await pictures.read(session, tokens)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr("data.json", json.dumps(told, ensure_ascii=False, indent=2, default=_plain))
        if picture:
            files.writestr("picture.webp", picture[1])
    return packed.getvalue()


def _plain(value: Any) -> str:
    """What JSON has no form of: times by ISO 8601, ids as text."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
