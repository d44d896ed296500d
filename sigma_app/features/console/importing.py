"""Leads from a CSV file: read and judged first, row by row, so that an operator sees what would happen; then imported.

A file is judged without anything being on the list; importing it is a job, five hundred rows at a time, that can be cut
off at any point and goes on. Nobody on the list is changed by it, and which leads came by which file is on record.
Whoever has an account is no lead any more, and is left out: there is nothing to confirm, and nothing to invite them to.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from anyio import to_thread
from sqlalchemy import text

from sigma_app.core.csv_cells import plain
from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.errors import NotLikeThat
from sigma_app.core.jobs import queue_job
from sigma_app.core.words import counted
from sigma_app.features.console.service import NothingToDo, acting, reading, record
from sigma_app.features.waitlist import service as waitlist
from sigma_app.session.operators import deputy, is_operator
from sigma_app.session.store import Session

LARGEST = 20 * 1024 * 1024  # bytes of a file
MOST_ROWS = 200_000
STEP = 500
CARRY_ON = "console:import"
TEXTS = (*waitlist.ARRIVAL, "consent_version")
TIMES = ("created_at", "consent_at")
COLUMNS = ("email", *TIMES, *TEXTS)
"""What a file may say of a lead; other columns are left out."""
TEMPLATE = ",".join(COLUMNS) + "\r\n"
HAS_ACCOUNT = "Has an account already, and is no lead to invite."
_HEADINGS = 1  # their line; what is said of it is about no lead
_LEFT = " Whoever has an unsubscribed_at would be on the list as one who merely joined: take them out first."
_LONGEST_NAME = 200
_LONGEST_ADDRESS = 320
_LONGEST_QUOTE = 40
_MOST_HEADINGS = 20  # that are named


@dataclass(frozen=True, slots=True)
class Judged:
    """A row of a file: a lead by column, or what is wrong with it; of the first, which columns are left out."""

    line: int
    address: str
    """As it can be read; where it cannot, as the file has it."""
    lead: dict[str, str] | None
    problem: str | None


def judge(data: bytes, *, allow_test_domains: bool) -> list[Judged]:
    """Read a file: UTF-8, with a line of headings of which one is "email".

    Args:
        data: the file.
        allow_test_domains: as `read_address` takes it.

    Raises:
        NotLikeThat: it is no such file, or has more than `MOST_ROWS` rows.
    """
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise NotLikeThat(f"The file is not UTF-8: line {line} has other bytes. Save it as CSV UTF-8.") from None
    try:
        dialect = csv.Sniffer().sniff(content[:4096], delimiters=",;\t") if content else csv.excel
    except csv.Error:
        dialect = csv.excel
    reader = csv.reader(io.StringIO(content, newline=""), dialect)
    try:
        headings = [heading.strip().lower() for heading in next(reader, [])]
        if "email" not in headings:
            raise NotLikeThat("The first line has to name the columns, and one of them “email”.")
        if twice := [column for column in COLUMNS if headings.count(column) > 1]:
            raise NotLikeThat(f"The first line names “{twice[0]}” twice: which of the two is meant?")
        return [*_left_out(headings), *_judged(reader, headings, allow_test_domains)]
    except csv.Error as error:
        raise NotLikeThat(f"Line {reader.line_num} cannot be read as CSV: {error}.") from None


def _left_out(headings: list[str]) -> Iterator[Judged]:
    unknown = [_quoted(heading) for heading in headings if heading and heading not in COLUMNS]
    if unknown:
        more = f" and {len(unknown) - _MOST_HEADINGS:,} more" if len(unknown) > _MOST_HEADINGS else ""
        named = ", ".join(unknown[:_MOST_HEADINGS])
        warning = _LEFT if "unsubscribed_at" in headings else ""
        yield Judged(_HEADINGS, "", None, f"Columns that are not imported: {named}{more}.{warning}")


def _quoted(said: str) -> str:
    """A text of a file in a sentence, which no erasure would find somebody's address in."""
    return "an address" if "@" in said else f"“{said[:_LONGEST_QUOTE]}”"


def _judged(reader, headings: list[str], allow_test_domains: bool) -> Iterator[Judged]:
    seen: dict[str, int] = {}
    rows = 0
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        line = reader.line_num
        rows += 1
        if rows > MOST_ROWS:
            raise NotLikeThat(f"The file has more than {MOST_ROWS:,} rows. Please take it in parts.")
        if len(cells) > len(headings):
            yield Judged(line, _address(cells, headings), None, _too_many(len(cells), len(headings)))
            continue
        given = {heading: plain(cell).replace("\0", "").strip() for heading, cell in zip(headings, cells, strict=False)}
        address = _address(cells, headings)
        try:
            lead = _lead(address, given, allow_test_domains)
        except (waitlist.InvalidAddress, NotLikeThat) as error:
            yield Judged(line, address, None, str(error))
            continue
        key = lead["email"].lower()
        if key in seen:
            yield Judged(line, address, None, f"The same address as in line {seen[key]}.")
            continue
        seen[key] = line
        yield Judged(line, address, lead, None)


def _address(cells: list[str], headings: list[str]) -> str:
    """What stands where the address should, for whoever looks for the row, or has to forget somebody."""
    index = headings.index("email")
    cell = plain(cells[index]).replace("\0", "") if index < len(cells) else ""
    return waitlist.address_in(cell)[:_LONGEST_ADDRESS]


def _too_many(cells: int, columns: int) -> str:
    named = counted(columns, "column")
    return f"It has {cells} cells, and the first line names {named}. A cell with a separator in it has to be in quotes."


def _lead(address: str, given: dict[str, str], allow_test_domains: bool) -> dict[str, str]:
    if not address:
        raise NotLikeThat("There is no address in this row.")
    lead = {"email": waitlist.read_address(given.get("email", ""), allow_test_domains=allow_test_domains).email}
    for column in TEXTS:
        if kept := waitlist.bounded(column, given.get(column, "")):
            lead[column] = kept
    for column in TIMES:
        if said := given.get(column, ""):
            lead[column] = _moment(column, said)
    if "consent_at" in lead and "consent_version" not in lead:
        raise NotLikeThat("consent_at says when, and consent_version, which says to what, is missing.")
    return lead


def _moment(column: str, said: str) -> str:
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        raise NotLikeThat(f"{column} is {_quoted(said)}, and has to be as 2026-11-28T09:00:00+00:00.") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > datetime.now(UTC):
        raise NotLikeThat(f"{column} is in the future.")
    return moment.isoformat()


async def take(session: Session, name: str, data: bytes, *, allow_test_domains: bool) -> UUID:
    """Judge a file and keep what it says until the night after it is imported, or is a day old; its id.

    Raises:
        NotLikeThat: it cannot be read.
        NotAnOperator, DatabaseUnavailable, TooSlow: nothing was kept, or it waits among the files of before.
    """
    rows = await to_thread.run_sync(lambda: judge(data, allow_test_domains=allow_test_domains))
    count = sum(row.line > _HEADINGS for row in rows)
    if not count:
        raise NotLikeThat("There is nothing in it but the headings.")
    identity = uuid4()
    async with acting(session, "leads.judge", identity, rows=count) as transaction:
        await waitlist.keep_after_erasing(transaction)
        connection = await transaction.connection()
        # With a person's name it would outlive them, on record.
        named = ("" if "@" in name else " ".join(name.split())[:_LONGEST_NAME]) or "a file"
        await connection.execute(_KEEP, {"id": identity, "operator": session.user_id, "name": named})
        driver = (await connection.get_raw_connection()).driver_connection
        async with driver.cursor() as cursor, cursor.copy(_ROWS) as copy:  # pyright: ignore[reportOptionalMemberAccess]
            for row in rows:
                lead = json.dumps(row.lead) if row.lead else None
                await copy.write_row((identity, row.line, row.address, lead, row.problem))
        await connection.execute(_KNOWN, {"id": identity})
        await connection.execute(_COUNT, {"id": identity})
    await _leave_out_accounts(session, identity)
    return identity


async def _leave_out_accounts(session: Session, identity: UUID) -> None:
    """Mark the rows, of a judged file, of those who have an account whose address they have proved to be theirs.

    All at once, by the console's way to read accounts: one by one they would be looked for without an index where the
    table of accounts is Supabase's own.
    """
    async with reading(session) as cursor:
        await cursor.execute(_HOLDERS, {"id": identity})
        holders = [row["address"] for row in await cursor.fetchall()]
    if holders:
        async with get_database().transaction(SERVICE) as transaction:
            await waitlist.keep_after_erasing(transaction)  # which deletes some of these rows, in an order of its own
            connection = await transaction.connection()
            await connection.execute(_LEAVE_OUT, {"id": identity, "holders": holders, "problem": HAS_ACCOUNT})


async def begin(session: Session, identity: UUID, ask: bool) -> None:
    """Import a judged file; whoever has got an account since is left out.

    Args:
        session: the operator's.
        identity: of the file.
        ask: whether each new lead is mailed the question to confirm.

    Raises:
        NothingToDo: it is under way or done, its rows are forgotten, or there is none.
        NotAnOperator, DatabaseUnavailable, TooSlow: nothing will be imported.
    """
    await _leave_out_accounts(session, identity)
    async with acting(session, "leads.import", identity, ask=ask) as transaction:
        connection = await transaction.connection()
        if not (await connection.execute(_BEGIN, {"id": identity, "ask": ask})).rowcount:
            raise NothingToDo
        await queue_job(transaction, CARRY_ON, identity=str(identity))


async def carry_on(identity: UUID) -> bool:
    """Import the next rows, in a transaction of their own; whether more have to follow."""
    async with get_database().cursor(SERVICE) as cursor:
        await cursor.execute("select operator from sigma.imports where id = %s and state = 'running'", [identity])
        found = await cursor.fetchone()
    if found is None:
        return False
    if found["operator"] is None or not await is_operator(found["operator"]):
        async with get_database().transaction(SERVICE) as transaction:
            await (await transaction.connection()).execute(_END, {"id": identity, "state": "failed"})
        return False
    async with get_database().transaction(deputy(found["operator"])) as transaction:
        connection = await transaction.connection()
        if (await connection.execute(_HOLD, {"id": identity})).one_or_none() is None:
            return False
        taken, new = (await connection.execute(_STEP, {"id": identity, "step": STEP})).one()
        if new:
            await record(transaction, "leads.imported", identity, leads=new)
        if not taken:
            await connection.execute(_END, {"id": identity, "state": "done"})
        return bool(taken)


async def forget_old() -> None:
    """Forget what names people: rows of files that were judged a day ago and not imported, and in the end the files."""
    async with get_database().cursor(SERVICE) as cursor:
        await cursor.execute(
            "delete from sigma.import_rows using sigma.imports where import_id = id"
            " and (state = 'done' or (state <> 'running' and created_at < now() - interval '1 day'))"
        )
        await cursor.execute("delete from sigma.imports where created_at < now() - interval '30 days'")


_ROWS = "copy sigma.import_rows (import_id, line, address, lead, problem) from stdin"
_KEEP = text(
    "insert into sigma.imports (id, operator, name, fresh, known, refused) values (:id, :operator, :name, 0, 0, 0)"
)
_KNOWN = text(
    "update sigma.import_rows as row set problem = 'On the list already; it stays as it is.'"
    " where import_id = :id and lead is not null"
    " and exists (select from public.leads where lower(email) = lower(row.lead ->> 'email'))"
)
_COUNT = text(
    "update sigma.imports set (fresh, known, refused) = ("
    " select count(*) filter (where problem is null), count(*) filter (where problem is not null and lead is not null),"
    " count(*) filter (where lead is null) from sigma.import_rows where import_id = :id and line > 1) where id = :id"
)
_HOLDERS = """
select lower(email) as address from sigma.accounts where email_confirmed_at is not null and lower(email) in (
  select lower(lead ->> 'email') from sigma.import_rows where import_id = %(id)s and problem is null
)
"""
_LEAVE_OUT = text("""
with left_out as (
  update sigma.import_rows set problem = :problem
  from (select id from sigma.imports where id = :id and state = 'judged' for update) as file
  where import_id = file.id and problem is null and lower(lead ->> 'email') = any(:holders) returning line
)
update sigma.imports set fresh = fresh - (select count(*) from left_out) where id = :id and state = 'judged'
""")
_BEGIN = text(
    "update sigma.imports set state = 'running', ask = :ask where id = :id and state = 'judged'"
    " and exists (select from sigma.import_rows where import_id = :id and problem is null)"
)
_HOLD = text("select id from sigma.imports where id = :id and state = 'running' for update")
_END = text("update sigma.imports set state = :state, ended_at = now() where id = :id")
# What was taken is deleted in the transaction that puts it on the list, so that no row is taken twice.
_STEP = text("""
with taken as (
  delete from sigma.import_rows as row using (
    select line from sigma.import_rows where import_id = :id and problem is null order by line limit :step
  ) as next
  where row.import_id = :id and row.line = next.line
  returning row.lead
), new as (
  insert into public.leads (email, created_at, utm_source, utm_medium, utm_campaign, utm_term, utm_content, referrer,
                            landing_path, referral_code, consent_version, consent_at)
  select lead ->> 'email', coalesce((lead ->> 'created_at')::timestamptz, now()), lead ->> 'utm_source',
    lead ->> 'utm_medium', lead ->> 'utm_campaign', lead ->> 'utm_term', lead ->> 'utm_content', lead ->> 'referrer',
    lead ->> 'landing_path', lead ->> 'referral_code', lead ->> 'consent_version', (lead ->> 'consent_at')::timestamptz
  from taken
  on conflict do nothing
  returning id
), asked as (
  select sigma.send_link(new.id, 'confirm') from new where (select ask from sigma.imports where id = :id)
), counted as (
  update sigma.imports set done = done + (select count(*) from new) where id = :id
    and (select count(*) from asked) >= 0
)
select (select count(*) from taken), (select json_agg(id) from new)
""")
