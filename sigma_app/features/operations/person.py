"""One person, by their address: everything that is kept about them, and forgetting it, with a receipt.

Both ask every feature for its part, and Supabase and Stripe through their gateways; the caller has the database, and
reaches Stripe (`gateways.payments.reaching_stripe`). The command line and the console call these same two, and by the
first the portal tells whoever is signed in.

Nobody is told what is somebody else's, or what opens something: not which operator did what, no password, token or key,
and of a line of a file that has other addresses as well, their own alone. An operator, who answers for whom the file
goes to, also gets the mails that the mailbox keeps. The portal only says that they are there: their links reset a
password or move the account, and whoever holds a session has not proved that the mailbox is theirs.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Any, LiteralString, NamedTuple
from uuid import UUID

from cryptography.fernet import InvalidToken

from sigma_app.core import clock
from sigma_app.core.addresses import address_digest, digest_of
from sigma_app.core.database import SERVICE, Step, get_database
from sigma_app.core.errors import SigmaError
from sigma_app.core.jobs import LONGEST, queue_job
from sigma_app.core.words import counted
from sigma_app.features.accounts import service as accounts
from sigma_app.features.billing import service as billing
from sigma_app.features.mail import service as mail
from sigma_app.features.waitlist import service as waitlist
from sigma_app.gateways import mail as mailbox
from sigma_app.gateways.keys import unseal
from sigma_app.gateways.payments import PaymentsRefused, PaymentsUnavailable
from sigma_app.session.operators import refuse_operators
from sigma_app.session.store import Session
from sigma_app.settings import get_settings


class Nobody(SigmaError):
    """Sigma has nobody of that address, and nothing was done. Look for a slip of the keyboard."""

    status = 404


class _FailedJob(NamedTuple):
    """A job that failed for good."""

    id: int
    name: str
    queued_at: datetime


Advance = Callable[[int], None]

_IN_MEMORY = 1024 * 1024  # bytes of an export; what is larger waits on the disk
_PIECE = 64 * 1024
KEPT_AT_STRIPE = "Invoices and payments stay at Stripe: the law wants accounts to be kept for years."
KEPT_AT_RESEND = "Mails that were sent stay at Resend for as long as its plan says; there is no call to remove them."
KEPT_AT_SUPABASE = "Supabase, which keeps the accounts, has a log of sign-ins of its own, with network addresses."
KEPT_IN_BACKUPS = "Backups made before hold them until they are rotated out; after restoring one, erase them again."
KEPT_AS_HASHES = "That an address gets no mail, or moved a friend up, stays as a hash: who knows the address can tell."
KEPT_ON_RECORD = "What operators did stays on record, by ids; an operator's own address stays in what they did."
KEPT_AS_WRITTEN = "What an operator wrote as the reason of a flag is not searched for them, on other people's leads."
KEPT_OF_BEFORE = (
    "Mails to an address that the account had before, or was about to have, are on record for up to 90 days: erase that"
    " address as well."
)


@dataclass(frozen=True)
class Receipt:
    """What became of a wish to be forgotten."""

    address: str
    at: datetime
    """In UTC."""
    asked_by: str
    """Who of us did it, or for whom."""
    account: UUID | None
    """The id of the account that there was."""
    erased: dict[str, int]
    """How many of each kind are gone: "lead", "imports" (rows of files that are about to be imported, or were refused),
    "account", "profile", "devices", "files", "mails", "mails on record", "events", "jobs" (that failed)."""
    stripe: str
    """What became of their customer at Stripe, in words."""
    left: list[str] = field(default_factory=list)
    """What could not be erased yet, and why; erasing again goes on there."""
    kept: list[str] = field(default_factory=list)
    """What is kept all the same, and why."""

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return not self.left

    def as_json(self) -> str:
        """For a file."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=2, default=_plain)


KINDS: Mapping[str, tuple[str, str]] = {
    "lead": ("lead", "leads"),
    "imports": ("row of a file", "rows of files"),
    "account": ("account", "accounts"),
    "profile": ("profile", "profiles"),
    "devices": ("device", "devices"),
    "files": ("file", "files"),
    "mails": ("mail", "mails"),
    "mails on record": ("mail on record", "mails on record"),
    "events": ("event", "events"),
    "jobs": ("failed job", "failed jobs"),
}
"""What one and what several of each kind are called, by the names of `Receipt.erased`."""


def in_words(counts: Mapping[str, int]) -> str:
    """How many there are of each kind, of those of which there are any.

    >>> in_words({"lead": 0, "devices": 1, "files": 2})
    '1 device, 2 files'
    """
    return ", ".join(counted(many, *KINDS[kind]) for kind, many in counts.items() if many)


async def find(email: str, *, gone: bool = False) -> UUID | None:
    """The account of whoever has an address, in any case; None for somebody of whom something else is kept.

    Args:
        email: the address.
        gone: find also an account that Supabase has no more, as `accounts.find_account`.

    Raises:
        Nobody: nothing is kept.
        DatabaseUnavailable, IdentityBusy, IdentityRefused, IdentityUnavailable: it could not be asked.
    """
    address = email.strip()
    account = await accounts.find_account(address, gone=gone)
    theirs = [] if account else await billing.ids_of(await _ids_to_forget(address))
    if account is None and not any((await _counts(address, None, theirs, 0)).values()):
        async with get_database().transaction(SERVICE) as transaction:
            if not await mail.is_suppressed(transaction, address):
                raise Nobody
    return account


async def find_to_erase(email: str) -> UUID | None:
    """As `find`, for forgetting them, and what an account left that Supabase has no more.

    Raises:
        OperatorsAccount: it is an operator's.
        Nobody, DatabaseUnavailable, IdentityBusy, IdentityRefused, IdentityUnavailable: as `find`.
    """
    account = await find(email, gone=True)
    if account:
        await refuse_operators(account)
    return account


async def packed(email: str) -> AsyncIterator[bytes]:
    """What `export` writes, piece by piece.

    Raises:
        As `export`, and then before the first piece.
    """
    async for piece in _pieces(await find(email), email.strip(), own=False):
        yield piece


async def own(session: Session) -> AsyncIterator[bytes]:
    """As `packed`, for whoever is signed in: by the account of their session, and the address which that has by now.

    The session may still have the one before, and that may be somebody else's. A mail tells the owner.

    Raises:
        Nobody: the account is gone.
        As `export`.
    """
    address = await accounts.address_of(session.user_id)
    if address is None:
        raise Nobody
    pieces = _pieces(session.user_id, address, own=True)
    first = await anext(pieces)
    if address:
        await accounts.tell_downloaded(address)
    yield first
    async for piece in pieces:
        yield piece


async def _pieces(account: UUID | None, address: str, *, own: bool) -> AsyncIterator[bytes]:
    with SpooledTemporaryFile(_IN_MEMORY) as file:
        whole: IO[bytes] = file  # pyright: ignore[reportAssignmentType] - it has all that one has
        await _tell(account, address, whole, own=own)
        whole.seek(0)
        while piece := whole.read(_PIECE):
            yield piece


async def export(email: str, out: IO[bytes], advance: Advance = lambda _: None) -> dict[str, int]:
    """Write everything that is kept about whoever has an address, as a ZIP: `data.json`, and their files in `files/`.

    Args:
        email: the address, in any case.
        out: where to write; files are read one after the other.
        advance: told of each file.

    Returns:
        How many of each kind there are, as in `Receipt.erased`; all 0 where it is known of an address only that it gets
        no mail.

    Raises:
        Nobody: nothing is kept, and nothing was written.
        DatabaseUnavailable, IdentityBusy, IdentityRefused, IdentityUnavailable, PaymentsUnavailable, PaymentsRefused:
            something could not be read, and what was written is not whole.
    """
    return await _tell(await find(email), email.strip(), out, advance)


async def _tell(
    account: UUID | None, address: str, out: IO[bytes], advance: Advance = lambda _: None, *, own: bool = False
) -> dict[str, int]:
    """As `export`; `own` is whether it is for whoever is signed in, of whom nothing has been proved but that."""
    files = await accounts.files_of(account) if account else []
    jobs = await _failed_jobs(address, account)
    customers = await _customers(account)
    known = [*customers, *await _ids_to_forget(address)]
    async with get_database().transaction(SERVICE) as transaction:
        told: dict[str, Any] = {
            "made_at": clock.now(),
            "address": address,
            "waitlist": await waitlist.what_is_kept(transaction, address),
            "mail": await mail.what_is_kept(transaction, address),
            "imports": await waitlist.imports_of(transaction, address),
            "jobs": [{"name": job.name, "queued_at": job.queued_at} for job in jobs],
        }
    told["deeds"] = await _deeds(address, account, told["waitlist"] and told["waitlist"]["id"])
    told["did"] = await _did(account)
    if account:
        told |= await accounts.what_is_kept(account)
        told["billing"] = await billing.what_is_kept(account, SERVICE)
        told["stripe"] = await billing.customer_at_stripe(account)
        known += await billing.ids_at_stripe(customers)
    told["stripe_events"] = await billing.events_of(await billing.ids_of(known))
    told["elsewhere"] = _elsewhere(is_customer=bool(customers), has_account=account is not None)
    if own:
        told["mail"] = _without_links(told["mail"])
    told["files"] = [{"bucket": bucket, "name": name} for bucket, name in files]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("data.json", json.dumps(told, ensure_ascii=False, indent=2, default=_plain))
        async for (bucket, name), content in accounts.contents_of(files):
            packed.writestr(f"files/{bucket}/{_inside(name)}", content)
            advance(1)
    return _counts_in(told)


async def erase(email: str, asked_by: str) -> Receipt:
    """Forget whoever has an address: lead, account, profile, devices, files, mails, events, customer at Stripe.

    Erasing twice is harmless. Where something does not answer, the rest is done all the same, `left` says what is not,
    and a job goes on by itself; erasing again goes on at once.

    Args:
        email: the address, in any case.
        asked_by: who does it, for the receipt.

    Raises:
        Nobody, OperatorsAccount: nothing was done.
        IdentityBusy, IdentityRefused, IdentityUnavailable: nor then, since nobody could say whose the address is.
        DatabaseUnavailable: it went away half way; erase again.
    """
    address = email.strip()
    account = await find_to_erase(address)
    left: list[str] = []
    customers = await _customers(account)
    living = await billing.customer_of(account) if account else None
    theirs = await _ids_of(customers, await _ids_to_forget(address))
    more_follow = bool(theirs)
    files = 0
    if account:
        try:
            files = len(await accounts.files_of(account))
        except SigmaError as error:
            left.append(f"files: {error}")
    before = await _counts(address, account, theirs, files)
    try:
        if account:  # first, since its job goes on by itself
            await accounts.delete_account(account, address)
    except accounts.NotGoneYet as error:
        left.append(f"account: {error.__cause__ or error} {_GOES_ON}")
    except billing.DebitUnderWay:
        left.append(f"account: {_DEBIT}")
        more_follow = False  # the customer stays, and so does what is to come of it
    digest = address_digest(address)
    async with get_database().transaction(SERVICE) as transaction:
        await waitlist.erase_address(transaction, address)
        await mail.forget(transaction, digest)
        await billing.forget_events(transaction, theirs)
        if more_follow:
            later = {"ids": theirs, "digest": digest.hex()}
            await queue_job(transaction, "billing:forget_events", after=2 * LONGEST, **later)
        await queue_job(transaction, "mail:forget", digest=digest.hex())  # and what is under way
    await mailbox.forget(digest)
    await _forget_jobs(address, account)
    still = account if account and await accounts.is_here(account) else None
    after = await _counts(address, still, theirs, await _files_left(still))
    left += [f"{kind}: {_CAME_BACK}" for kind in ("lead", "imports") if after[kind]]
    if after["events"]:
        left.append(f"events: {_NOT_WORKED}")
    return Receipt(
        address=address,
        at=clock.now(),
        asked_by=asked_by,
        account=account,
        erased={kind: max(many - after[kind], 0) for kind, many in before.items()},
        stripe=await _what_became_of(living, still),
        left=left,
        kept=_kept(bool(customers), account is not None),
    )


async def _what_became_of(customer: str | None, still: UUID | None) -> str:
    """In words, what became of a customer at Stripe."""
    if customer is None:
        return "There was no customer."
    if still and await billing.customer_of(still):
        return f"The customer {customer} is still there: what is left says why."
    return f"The customer {customer} was deleted, and what they subscribed to has ended."


async def _ids_of(customers: list[str], known: list[str]) -> list[str]:
    """Stripe's ids of all that is theirs; where Stripe does not answer, of what is known here."""
    theirs = await billing.ids_of([*customers, *known])
    try:
        return await billing.ids_of([*theirs, *await billing.ids_at_stripe(customers)])
    except (PaymentsUnavailable, PaymentsRefused):  # nor does it delete the customer then, and erasing is done again
        return theirs


async def _counts(address: str, account: UUID | None, ids: list[str], files: int) -> dict[str, int]:
    """How many of each kind there are now; `ids` are Stripe's of what is theirs."""
    digest = address_digest(address)
    values = {"address": address, "digest": digest, "account": account}
    (row,) = await get_database().run(Step(SERVICE, _COUNTS, values))
    async with get_database().transaction(SERVICE) as transaction:
        imports = len(await waitlist.imports_of(transaction, address))
    lead, profile, devices, mails, on_record, resend = row
    return {
        "lead": lead,
        "imports": imports,
        "account": int(account is not None),
        "profile": profile,
        "devices": devices,
        "files": files,
        "mails": mails,
        "mails on record": on_record,
        "events": resend + len(await billing.events_of(ids)),
        "jobs": len(await _failed_jobs(address, account)),
    }


def _counts_in(told: Mapping[str, Any]) -> dict[str, int]:
    """How many of each kind there are in what is told, by the names of `_counts`."""
    mails = told["mail"]
    return {
        "lead": int(bool(told["waitlist"])),
        "imports": len(told["imports"]),
        "account": int("account" in told),
        "profile": int(bool(told.get("profile"))),
        "devices": len(told.get("devices", ())),
        "files": len(told["files"]),
        "mails": len(mails["mails"]),
        "mails on record": len(mails["on_record"]),
        "events": len(mails["events"]) + len(told["stripe_events"]),
        "jobs": len(told["jobs"]),
    }


async def _files_left(account: UUID | None) -> int:
    try:
        return len(await accounts.files_of(account)) if account else 0
    except SigmaError:
        return 0


async def _customers(account: UUID | None) -> list[str]:
    """Every customer at Stripe that somebody is or was."""
    rows = await get_database().run(Step(SERVICE, "select id from billing.customers where user_id = %s", [account]))
    return [customer for (customer,) in rows]


async def _failed_jobs(address: str, account: UUID | None) -> list[_FailedJob]:
    """Jobs that failed for good and are about them: by their account, or by their address, which jobs have as a digest
    or sealed."""
    digest = address_digest(address).hex()
    return [
        _FailedJob(job, name, queued_at)
        for job, name, queued_at, *about in await get_database().run(Step(SERVICE, _FAILED_JOBS))
        if _is_about(*about, account=str(account), digest=digest, address=address)
    ]


def _is_about(
    user: str | None, digest_of: str | None, sealed: str | None, *, account: str, digest: str, address: str
) -> bool:
    return user == account or digest_of == digest or bool(sealed and _opened(sealed).lower() == address.lower())


async def _ids_to_forget(address: str) -> list[str]:
    """Stripe's ids in the jobs, waiting or failed, that are to forget the events of whoever was erased before: nobody
    else knows whose they were, once the customer is gone."""
    digest = address_digest(address).hex()
    return [one for (one,) in await get_database().run(Step(SERVICE, _IDS_TO_FORGET, [digest]))]


async def _forget_jobs(address: str, account: UUID | None) -> None:
    jobs = [job.id for job in await _failed_jobs(address, account)]
    await get_database().run(Step(SERVICE, _FORGET_JOBS, [jobs]))


async def _did(account: UUID | None) -> list[dict[str, Any]]:
    """What somebody did as an operator, and not to whom."""
    rows = await get_database().run(Step(SERVICE, _DID, [account]))
    return [{"at": at, "action": action} for at, action in rows]


async def _deeds(address: str, account: UUID | None, lead: UUID | None) -> list[dict[str, Any]]:
    """What operators did to them, and not which of them."""
    subjects = [str(one) for one in (account, lead, address_digest(address).hex()) if one]
    rows = await get_database().run(Step(SERVICE, _DEEDS, {"subjects": subjects, "lead": str(lead)}))
    return [{"at": at, "action": action} for at, action in rows]


def _opened(sealed: str) -> str:
    """What was sealed; "" with another key than ours."""
    try:
        return unseal(sealed)
    except InvalidToken:
        return ""


def _without_links(kept: dict[str, Any]) -> dict[str, Any]:
    """What is kept of mails, without the words of any and without the link that somebody followed in one."""
    return kept | {
        "mails": [{name: mail[name] for name in ("subject", "created_at")} for mail in kept["mails"]],
        "events": [{name: event[name] for name in ("id", "type", "received_at")} for event in kept["events"]],
    }


def _elsewhere(*, is_customer: bool, has_account: bool) -> list[str]:
    """Where more about them is than can be told from here, or erased."""
    settings = get_settings()
    return [
        *([KEPT_AT_STRIPE] if is_customer else []),
        *([KEPT_AT_RESEND] if settings.is_hosted("mail") else []),
        *([KEPT_AT_SUPABASE] if has_account and settings.is_hosted("auth") else []),
    ]


def _kept(was_customer: bool, had_account: bool) -> list[str]:
    return [
        *_elsewhere(is_customer=was_customer, has_account=had_account),
        *([KEPT_OF_BEFORE] if had_account else []),
        KEPT_IN_BACKUPS,
        KEPT_AS_HASHES,
        KEPT_ON_RECORD,
        KEPT_AS_WRITTEN,
    ]


def _inside(name: str) -> str:
    """A file's name as one that leads nowhere but into the folder it is unpacked to."""
    return "/".join(part for part in name.split("/") if part not in ("", ".", ".."))


def _plain(value: Any) -> str:
    """What JSON has no form of: times by ISO 8601, ids as text."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


_DEBIT = (
    "A bank debit of theirs is on its way, which nobody could give back: erase again once it has come in or failed."
)
_CAME_BACK = "There is some again, since something was under way: erase again."
_GOES_ON = "It goes on by itself; erasing again goes on at once."
_NOT_WORKED = (
    "Some wait to be worked, or came in meanwhile. Once the account is gone, a job removes them; so does erasing again."
)
_COUNTS: LiteralString = f"""
select
  (select count(*) from public.leads where lower(email) = lower(%(address)s)),
  (select count(*) from public.profiles where id = %(account)s),
  (select count(*) from sigma.sessions where user_id = %(account)s),
  (select count(*) from sigma.mailbox where exists (
    select from unnest(recipients) as one where {digest_of("one")} = %(digest)s)),
  (select count(*) from sigma.messages where digest = %(digest)s),
  (select count(*) from sigma.webhook_events
    where source = 'resend' and sigma.digests_of(body #> '{{data,to}}') && array[%(digest)s::bytea])
"""  # noqa: S608 - pieces of our own
_FAILED_JOBS = """
select id, task_name,
  (select min(at) from procrastinate.procrastinate_events where job_id = job.id and type = 'deferred'),
  args ->> 'user', args ->> 'digest', args ->> 'sealed'
from procrastinate.procrastinate_jobs as job
where status = 'failed' and args ?| array['user', 'digest', 'sealed'] order by id
"""
_IDS_TO_FORGET = """
select distinct one from procrastinate.procrastinate_jobs, jsonb_array_elements_text(args -> 'ids') as one
where task_name = 'billing:forget_events' and args ->> 'digest' = %s order by one
"""
_DEEDS = """
select at, action from sigma.audit_log
where subject = any(%(subjects)s) or (detail ? 'leads' and detail -> 'leads' ? %(lead)s) order by id
"""
_DID = "select at, action from sigma.audit_log where operator = %s order by id"
_FORGET_JOBS = "delete from procrastinate.procrastinate_jobs where id = any(%s)"
