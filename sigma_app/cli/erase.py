"""`python -m sigma_app erase`: forgets a person, with a receipt."""

from __future__ import annotations

import asyncio
import getpass
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from sigma_app.cli.database import migrated_database
from sigma_app.cli.person import nobody_is_told
from sigma_app.core.errors import StartError
from sigma_app.settings import get_settings

if TYPE_CHECKING:
    from sigma_app.features.operations.person import Receipt


@click.command()
@click.argument("email")
@click.option("--by", "asked_by", metavar="WHO", help="Who asked for it, for the receipt; you unless given.")
@click.option("--yes", is_flag=True, help="Do not ask; needed where nobody sits at a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print the receipt as JSON.")
def command(email: str, asked_by: str | None, yes: bool, as_json: bool) -> None:
    """Forget the person with this address: lead, account, profile, devices, files, mails, events, customer at Stripe.

    Cannot be undone, and can be repeated: where something does not answer, the receipt says so, and the command ends
    with 1, as it does without a receipt where the database goes away half-way. It ends with 3 where Sigma has nobody of
    that address, and with 2 where nothing was begun: for an operator, say, whom `admin revoke` has to make an ordinary
    account first, or where Supabase cannot be asked whose the address is. What is on its way at this moment, a mail
    say, is removed by a job while the server or a worker runs.

    With Supabase elsewhere, an account is known from its first sign-in here on. One whose address changed there is
    found by the new one once it signed in here with it, and by the old one no more.
    """
    if not yes:
        if not sys.stdin.isatty():
            raise StartError("Nobody sits here to be asked, and it cannot be undone: nothing was erased. Add --yes.")
        click.confirm(f"Forget everything about {email.strip()}, for good?", abort=True, err=True)
    with migrated_database(get_settings(), lambda _: None), nobody_is_told(email):
        complete = asyncio.run(_erase(email, asked_by or _who(), as_json))
    sys.exit(0 if complete else 1)


async def _erase(email: str, asked_by: str, as_json: bool) -> bool:
    """Put it on record, erase, and print the receipt at once: it is kept nowhere else. Whether nothing is left."""
    from sigma_app.core.database import SERVICE, get_database
    from sigma_app.core.errors import DatabaseUnavailable
    from sigma_app.features.console.service import record
    from sigma_app.features.operations import person
    from sigma_app.gateways.accounts import IdentityBusy, IdentityRefused, IdentityUnavailable
    from sigma_app.gateways.database import serving_requests
    from sigma_app.gateways.payments import reaching_stripe
    from sigma_app.session.operators import OperatorsAccount

    unknown = (IdentityBusy, IdentityRefused, IdentityUnavailable)  # whose the address is, which is asked first
    async with serving_requests(), reaching_stripe():
        try:
            account = await person.find_to_erase(email)
            async with get_database().transaction(SERVICE) as transaction:
                await record(transaction, "person.erase", account)
        except (OperatorsAccount, DatabaseUnavailable, *unknown) as error:
            raise StartError(f"{error} Nothing was erased.") from None
        try:
            receipt = await person.erase(email, asked_by)
        except (OperatorsAccount, *unknown) as error:  # since a moment ago
            raise StartError(f"{error} Nothing was erased.") from None
        except DatabaseUnavailable:
            print(_HALF_WAY, file=sys.stderr)
            return False
        print(receipt.as_json() if as_json else _told(receipt), flush=True)
        return receipt.complete


_HALF_WAY = (
    "The database went away half-way: some of it may be erased, and there is no receipt."
    " Call it again; where it then ends with 3, nothing was left."
)


def _told(receipt: Receipt) -> str:
    """A receipt for people."""
    from sigma_app.features.operations.person import in_words

    return "\n".join(
        [
            f"{receipt.address}, erased {receipt.at:%Y-%m-%d %H:%M:%S} UTC by {receipt.asked_by}",
            f"  account  {receipt.account or 'none'}",
            f"  erased   {in_words(receipt.erased) or 'nothing'}",
            f"  Stripe   {receipt.stripe}",
            *(f"  left     {line}" for line in receipt.left),
            *(f"  kept     {line}" for line in receipt.kept),
        ]
    )


def _who() -> str:
    with suppress(OSError, KeyError):  # a user without a name
        return f"{getpass.getuser()}, at the command line"
    return "somebody at the command line"
