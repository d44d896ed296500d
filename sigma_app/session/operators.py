"""Who operates Sigma: an account with "role": "admin" in its app_metadata, which the database is asked for each time.

Nothing in a session says so: whoever loses the role loses it at once. An operator reads as a database role of their
own, for which row level security has the last word (alembic/versions/0014_console.up.sql).
"""

from __future__ import annotations

import json
from uuid import UUID

from sigma_app.core.database import SERVICE, Actor, Step, get_database
from sigma_app.core.errors import SigmaError


class OperatorsAccount(SigmaError):
    """This is an operator's account. First take the role, by command: python -m sigma_app admin revoke EMAIL."""

    status = 409


def reader(operator: UUID) -> Actor:
    """On whose behalf the console reads; for anybody but an operator there is nothing to see."""
    return Actor("sigma_operator", _claims(operator, "sigma_operator"))


def deputy(operator: UUID) -> Actor:
    """On whose behalf the console acts: the service, which row level security does not bind, in the operator's name.

    It may do anything, so `sigma.audit` comes first in its transaction, and refuses whoever is no operator.
    """
    return Actor("service_role", _claims(operator, "service_role"))


async def is_operator(account: UUID) -> bool:
    """Whether an account is an operator's, right now.

    Raises:
        DatabaseUnavailable: it could not be asked.
    """
    return (await get_database().run(Step(reader(account), "select sigma.is_admin()"))) == [(True,)]


async def has_role(account: UUID) -> bool:
    """Whether an account has the role of an operator, also one that is disabled and may do nothing with it.

    Raises:
        DatabaseUnavailable: it could not be asked.
    """
    return (await get_database().run(Step(SERVICE, _HAS_ROLE, [account]))) == [(True,)]


async def refuse_operators(account: UUID) -> None:
    """Refuse what opens, closes or ends an operator's account: the role has to be taken first, on the command line. So
    nobody locks themselves, or the last operator, out by a click.

    Raises:
        OperatorsAccount: it is an operator's.
        DatabaseUnavailable: it could not be asked.
    """
    if await has_role(account):
        raise OperatorsAccount


def _claims(operator: UUID, role: str) -> str:
    return json.dumps({"sub": str(operator), "role": role}, separators=(",", ":"))


_HAS_ROLE = "select sigma.account_record(%s) #>> '{raw_app_meta_data,role}' = 'admin'"
