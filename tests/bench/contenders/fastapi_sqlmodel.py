"""FastAPI and SQLModel as their own tutorials write it: a form model, an async session, add, commit.

The mapped key is `email`, since a visitor may neither choose `id` nor read it back, as an ORM wants to.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Form
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, EmailStr
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from tests.bench.contenders import ANONYMOUS_CLAIMS, CONSENT_VERSION, POOL_SIZE, serve


class Lead(SQLModel, table=True):
    __tablename__ = "leads"  # pyright: ignore[reportAssignmentType] - as SQLModel documents it

    email: str = Field(primary_key=True)
    referrer: str | None = None
    landing_path: str | None = None
    consent_version: str | None = None


class JoinForm(BaseModel):
    email: EmailStr
    landing_url: str = ""
    referrer: str = ""


engine = create_async_engine(
    os.environ.get("DATABASE_URL", "postgresql://").replace("postgresql://", "postgresql+psycopg://", 1),
    pool_size=POOL_SIZE,
    max_overflow=0,
)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine) as session:
        yield session


app = FastAPI()


@app.post("/join")
async def join(
    form: Annotated[JoinForm, Form()], session: Annotated[AsyncSession, Depends(get_session)]
) -> RedirectResponse:
    connection = await session.connection()
    await connection.execute(text("set local role anon"))
    await connection.execute(
        text("select set_config('request.jwt.claims', :claims, true)"), {"claims": ANONYMOUS_CLAIMS}
    )
    session.add(
        Lead(
            email=form.email,
            referrer=form.referrer,
            landing_path=urlsplit(form.landing_url).path,
            consent_version=CONSENT_VERSION,
        )
    )
    try:
        await session.commit()
    except IntegrityError:  # on the list already, which looks the same
        await session.rollback()
    return RedirectResponse("/joined", status_code=303)


if __name__ == "__main__":
    serve(app)
