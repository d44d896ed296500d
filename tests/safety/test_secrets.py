"""Secrets are where they have to be, and nowhere else: not in the log, an answer, a row, a file or a process.

Everything that people do is done at the real server, in both shapes of the log; then everything that the run left
behind is searched for everything that was secret in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from reflex_base.constants import Reflex
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.safety.secrets import Run, look_around, picture
from tests.sigma import Sigma, free_port

PASSWORD, NEXT_PASSWORD, WRONG_PASSWORD = "canary one-pass phrase", "canary two-pass phrase", "canary no-pass phrase"
ALICE, FOUNDER = "alice@example.com", "founder@example.com"
METRICS_TOKEN = "canary-of-the-metrics-token"

PRODUCTION = {"SIGMA_ENV": "production", "SIGMA_ALLOW_LOCAL": "database,auth,payments,mail"}
KEPT_FOR_IT = {"file supabase.json", "file links.key"}
"""The files that are there to hold a key: mode 0600, and docs/operating.md names them."""
MAILBOX = "table sigma.mailbox"  # mails as they went out, links and codes included: what was asked to keep them
REFRESH = "table auth.refresh_tokens"  # as Supabase keeps them: a dump is as secret as the database
MAILED = {"table auth.one_time_tokens", "table auth.users"}  # what a link of auth brings is what is kept, with Supabase


@pytest.fixture(scope="module", params=["development", "production"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Everything that people do, done."""
    port = free_port()
    variables = {
        "BASE_URL": f"http://127.0.0.1:{port}",
        "GOTRUE_SMTP_MAX_FREQUENCY": "0",
        "RESEND_WEBHOOK_SECRET": "whsec_Y2FuYXJ5b2ZyZXNlbmRz",
        "SIGMA_METRICS_TOKEN": METRICS_TOKEN,
        **(PRODUCTION if request.param == "production" else {}),
    }
    sigma = Sigma(tmp_path_factory.mktemp("secrets") / "data", port, variables).start()
    try:
        run = Run(sigma)
        run.keep("the webhook's secret", variables["RESEND_WEBHOOK_SECRET"])
        run.keep("the token of metrics", METRICS_TOKEN)
        for name in ("secret", "service_role"):
            run.keep(f"the key {name}", json.loads((sigma.data_dir / "supabase.json").read_text())[name])
        with sigma.database() as database:
            live(run, database)
            yield run
    finally:
        sigma.remove()


def live(run: Run, database: psycopg.Connection) -> None:
    """What people do, one after the other, and what goes wrong."""
    for name, password in (("first", PASSWORD), ("second", NEXT_PASSWORD), ("wrong", WRONG_PASSWORD)):
        run.keep(f"a password, the {name}", password)
    with run.client("the founder") as founder:
        join_the_list(run, database, founder)
    with run.client("Alice") as alice:
        sign_up_and_in(run, database, alice)
        use_the_websocket(run, alice)
        change_things(run, database, alice)
        pay(run, database, alice)
        break_things(run, database, alice)
    ask_the_api(run)
    with run.client("a stranger") as stranger:
        look_around(run, stranger)


def join_the_list(run: Run, database: psycopg.Connection, founder: httpx.Client) -> None:
    founder.post("/join", data={"email": FOUNDER, "form": "hero"})
    link, code = run.mail_to(database, FOUNDER)
    founder.post("/confirm", data={"email": FOUNDER, "code": "000000" if code != "000000" else "000001"})
    assert founder.get(link).status_code == 200
    onward = founder.post(link).headers["location"]
    run.keep("the token of a link", onward.rpartition("/")[2])
    assert founder.get(onward).status_code == 200
    run.mail_to(database, FOUNDER, 1)


def sign_up_and_in(run: Run, database: psycopg.Connection, alice: httpx.Client) -> None:
    alice.post("/sign-up", data={"email": ALICE, "password": PASSWORD})
    link, _ = run.mail_to(database, ALICE)
    assert alice.get(link).status_code == 200
    asked = dict(httpx.URL(link).params)
    alice.post("/verify", data=asked)
    run.keep_session(database, alice)
    alice.post("/sign-out")
    alice.post("/sign-in", data={"email": ALICE, "password": WRONG_PASSWORD})
    alice.post("/sign-in", data={"email": ALICE, "password": PASSWORD}, headers={"accept": "application/json"})
    run.keep_session(database, alice)


def use_the_websocket(run: Run, alice: httpx.Client) -> None:
    address = run.sigma.base_url.replace("http", "ws", 1)
    cookie = {"Cookie": f"sigma_session={alice.cookies['sigma_session']}"}
    with connect(
        f"{address}/_event/?token={uuid4()}&EIO=4&transport=websocket",
        origin=Origin(run.sigma.base_url),
        subprotocols=[Subprotocol(Reflex.VERSION)],
        additional_headers=cookie,
    ) as websocket:
        websocket.send("40/_event,")
        root = "reflex___state____state"
        for name in (f"{root}.hydrate", f"{root}.nothing", "nothing.of_ours"):
            event = {"name": name, "payload": {}, "router_data": {"pathname": "/profile", "asPath": "/profile"}}
            websocket.send(f"42/_event,{json.dumps(['event', event])}")
        while "is_hydrated" not in (said := str(websocket.recv(30))):
            run.told.append(("Alice: a frame", said))


def change_things(run: Run, database: psycopg.Connection, alice: httpx.Client) -> None:
    for path in ("/profile", "/account", "/billing", "/app"):
        assert alice.get(path).status_code == 200
    assert alice.post("/profile/picture", content=picture()).status_code in (200, 303)
    alice.post("/profile/picture", content=b"no picture at all")
    assert alice.get("/profile/picture").status_code == 200
    alice.post("/account/password", data={"current": WRONG_PASSWORD, "password": NEXT_PASSWORD})
    alice.post("/account/password", data={"current": PASSWORD, "password": NEXT_PASSWORD})
    run.keep_session(database, alice)
    alice.post("/forgot", data={"email": ALICE})
    link, _ = run.mail_to(database, ALICE, 1)
    assert alice.get(link).status_code == 200
    alice.get("/account/data.zip")


def pay(run: Run, database: psycopg.Connection, alice: httpx.Client) -> None:
    secret = database.execute(
        "select value #>> '{}' from sigma.sandbox_settings where value::text like '%whsec%'"
    ).fetchone()
    if secret:
        run.keep("the sandbox's secret", secret[0].strip('"'))
    bought = alice.post("/billing/checkout", data={"plan": "sigma_monthly"})
    checkout = bought.headers["location"]
    alice.get(checkout)
    alice.post(checkout, data={"do": "pay"})
    run.wait_until(lambda: database.execute("select 1 from public.profiles where has_access").fetchone())
    body = {"id": "evt_1", "object": "event"}
    alice.post("/webhooks/stripe", json=body, headers={"stripe-signature": "t=1,v1=canary"})
    alice.post("/webhooks/resend", json=body, headers={"svix-id": "1", "svix-timestamp": "1", "svix-signature": "v1,a"})


def break_things(run: Run, database: psycopg.Connection, alice: httpx.Client) -> None:
    """Requests with secrets in them that fail on our side, and those that nobody understands."""
    link, _ = run.mail_to(database, FOUNDER)
    tokens = [value for name, value in run.secrets.items() if name.startswith("the token")]
    for table in ("sigma.lead_links", "sigma.sessions", "public.leads", "auth.users"):
        schema, name = table.split(".")
        database.execute(f"alter table {schema}.{name} rename to away".encode())
        try:
            for path in ("/profile", "/billing/thanks?session_id=cs_1", link, *(f"/erase/{token}" for token in tokens)):
                alice.get(path)
                alice.get(path, headers={"accept": "text/html"})
            alice.post("/sign-in", data={"email": ALICE, "password": NEXT_PASSWORD})
            alice.post("/sign-up", data={"email": "bob@example.com", "password": NEXT_PASSWORD})
            alice.post("/join", data={"email": "bob@example.com", "form": "hero"})
            ask_the_api(run)
        finally:
            database.execute(f"alter table {schema}.away rename to {name}".encode())
    assert any("500 " in what or "503" in what or "Something went wrong" in what for _, what in run.told)
    for path in (f"/nothing/{tokens[0]}", f"/verify?token_hash={tokens[0]}&type=nonsense", f"/confirm/{tokens[0]}x"):
        alice.get(path)
    alice.post(
        "/sign-in", content=b'{"password": "%s"}' % PASSWORD.encode(), headers={"content-type": "application/json"}
    )
    alice.request("PUT", "/sign-in", data={"password": PASSWORD})
    alice.get("/profile", headers={"cookie": f"sigma_session={alice.cookies['sigma_session']}; sigma_session=x"})
    alice.get("/metrics", headers={"authorization": f"Bearer {METRICS_TOKEN}x"})


def ask_the_api(run: Run) -> None:
    """As a developer with curl; what is answered is their own."""
    keys = json.loads((run.sigma.data_dir / "supabase.json").read_text())
    with httpx.Client(base_url=run.sigma.base_url, headers={"apikey": keys["anon"]}) as developer:
        body = {"email": ALICE, "password": NEXT_PASSWORD}
        answer = developer.post("/auth/v1/token?grant_type=password", json=body)
        if answer.is_success:
            for name in ("access_token", "refresh_token"):
                run.keep("a token", answer.json()[name])
            bearer = {"authorization": f"Bearer {answer.json()['access_token']}"}
            developer.get("/auth/v1/user", headers=bearer)
            developer.get("/rest/v1/profiles?select=*,nothing", headers=bearer)
            developer.patch("/rest/v1/profiles?id=eq.1", json={"name": "a"}, headers=bearer)
        for grant in ("password", "refresh_token", "pkce"):
            developer.post(f"/auth/v1/token?grant_type={grant}", json={**body, "password": WRONG_PASSWORD})
        developer.post("/auth/v1/signup", content=f'{{"password": "{PASSWORD}"')
        developer.get("/rest/v1/leads", headers={"authorization": f"Bearer {keys['service_role']}x"})
        developer.get("/storage/v1/bucket", headers={"authorization": f"Bearer {keys['service_role']}"})


def test_the_log_has_none(run: Run):
    lines = list(run.log())
    assert any("A request failed" in line for _, line in lines)  # it does look where something is
    assert any("No registered handler" in line for _, line in lines)
    assert run.find(lines) == []


def test_no_answer_has_one_but_a_links_own_page(run: Run):
    assert run.find(run.told, but=["the token of a link"]) == []
    strangers = [(where, what) for where, what in run.told if where.startswith("a stranger")]
    assert len(strangers) > 30
    assert run.find(strangers) == []


def test_no_table_has_one_but_the_mailbox_and_what_is_supabases(run: Run):
    with run.sigma.database() as database:
        rows = list(run.rows(database))
    assert {where for where, _ in rows} >= {MAILBOX, REFRESH, "table sigma.sessions"}
    elsewhere = [(where, what) for where, what in rows if where not in {MAILBOX, REFRESH, *MAILED}]
    assert run.find(elsewhere, but=["the sandbox's secret"]) == []
    assert run.find([row for row in rows if row[0] in MAILED], but=["the token of a link"]) == []
    assert run.find([row for row in rows if row[0] == REFRESH], but=["a token"]) == []
    assert run.find([row for row in rows if row[0] == MAILBOX], but=["the token of a link", "a code"]) == []


def test_no_file_has_one_but_those_that_are_there_for_it(run: Run):
    files = list(run.files())
    assert {where for where, _ in files} >= {"file supabase.json"}
    assert run.find((where, what) for where, what in files if where not in KEPT_FOR_IT) == []
    for name in KEPT_FOR_IT:
        path = run.sigma.data_dir / name.removeprefix("file ")
        assert not path.exists() or path.stat().st_mode & 0o077 == 0


def test_no_process_shows_one_on_its_command_line_or_is_given_one(run: Run):
    processes = list(run.processes())
    assert any(where == "the environment of postgres" for where, _ in processes)
    assert run.find(processes) == []


@pytest.mark.parametrize("place", ["log", "file", "row", "answer"])
def test_a_leak_is_found(run: Run, place: str, tmp_path: Path):
    """The search itself: a secret that is laid somewhere is seen there."""
    leaked = next(value for name, value in run.secrets.items() if name.startswith("a cookie"))
    look: dict[str, Callable[[], list[str]]] = {
        "log": lambda: run.find([("log", f'{{"message": "GET / {leaked}"}}')]),
        "file": lambda: run.find([("file", f"\x00{leaked}\x00")]),
        "row": lambda: run.find([("row", leaked.encode().hex())]) or _found_in_a_row(run, leaked),
        "answer": lambda: run.find([("answer", f'<input value="{leaked}">')]),
    }
    assert look[place]()


def _found_in_a_row(run: Run, leaked: str) -> list[str]:
    with run.sigma.database() as database:
        database.execute("create table public.leaked (kept bytea)")
        try:
            database.execute("insert into public.leaked values (%s)", [leaked.encode()])
            return run.find(run.rows(database))
        finally:
            database.execute("drop table public.leaked")
