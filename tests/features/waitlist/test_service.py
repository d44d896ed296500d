"""The rules of the waitlist, without a browser and without HTTP."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_app.core.database import ANONYMOUS, SERVICE, Step
from sigma_app.features.waitlist import service
from sigma_app.features.waitlist.consent import CONSENT_VERSION
from sigma_app.models.lead import LENGTHS

NOWHERE = service.read_arrival("", "")


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("  alice@example.com\n", "alice@example.com"),
        ("Alice.B+tag@EXAMPLE.com", "Alice.B+tag@example.com"),
        ("alice@bücher.example", "alice@bücher.example"),
        ("alice@xn--bcher-kva.example", "alice@bücher.example"),
        ("用户@例え.jp", "用户@例え.jp"),
        ("e\u0301ve@example.com", "éve@example.com"),
    ],
)
def test_an_address_is_stored_trimmed_and_in_one_spelling(typed: str, stored: str):
    assert service.read_address(typed).email == stored


@pytest.mark.parametrize(
    "typed",
    [
        *("mailto:ann@example.com", "MAILTO:ann@example.com?subject=Hello", "mailto:%61nn@example.com"),
        *("<ann@example.com>", "Ann <ann@example.com>", '"Lee, Ann" < ann@example.com >;', "<mailto:ann@example.com>"),
        *("ann@example.com.", "ann@example.com,", "ann@example.com ; ", "ann＠example.com"),
        *("\u00a0ann@example.com", "ann@example.com\u200b", "\ufeffann@example.com", "\u3000ann@example.com\u2060"),
    ],
)
def test_what_is_copied_along_with_an_address_is_read_past(typed: str):
    assert service.read_address(typed).email == "ann@example.com"


TWO_ADDRESSES = "Please give one address only."
NO_AT = "The @ is missing, as in you@example.com."
SPACE = "There is a space in it. Please take it out."
INVISIBLE = "There is an invisible character in it. Please type the address by hand."
NO_ENDING = "The part after the @ has no ending, such as .com."
TOO_LONG = "That is longer than an address can be."
SOMETHING = "That is no address that mail can go to. Please look at it again."


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        *((blank, "Please type your e-mail address.") for blank in ("", "   ", "\u200b", "<>", "mailto:", ".")),
        *((two, TWO_ADDRESSES) for two in ("a@b.com, c@d.com", "a@b.com;c@d.com", "a@b.com c@d.com")),
        *(
            (two, TWO_ADDRESSES)
            for two in ("Ann <a@b.com>, Bob <c@d.com>", "a@b.com <c@d.com>", "mailto:a@b.com,c@d.com")
        ),
        *((text, NO_AT) for text in ("alice", "alice.example.com", "alice example.com", "a" * 70, "\ud800")),
        ("@example.com", "The part before the @ is missing."),
        ("alice@", "The part after the @ is missing."),
        *((text, "There is more than one @ in it.") for text in ("a@@example.com", "a@b@example.com")),
        *((text, SPACE) for text in ("a b@example.com", "a@exa mple.com", "a@ b.com", "a\u00a0b@c.com", "Ann a@b.com")),
        *((text, INVISIBLE) for text in ("a@b.com\x00", "a\u200bb@c.com", "a@b\ud800.com", "a\x7f@b.com")),
        *((f"a{sign}b@c.com", f"“{sign}” cannot stand before the @.") for sign in '()[]:\\"<>'),
        *((f"a@b{sign}c.com", f"“{sign}” cannot stand after the @.") for sign in "_/:<>!€😀"),
        ("a@[127.0.0.1]", "“[” cannot stand after the @."),
        *((text, "There are two dots in a row.") for text in ("a..b@c.com", "a@b..com")),
        (".a@b.com", "An address cannot begin with a dot."),
        *((text, "There is a dot right beside the @.") for text in ("a.@b.com", "a@.b.com")),
        *((text, NO_ENDING) for text in ("a@b", "a@localhost", "a@127.0.0.1", "a@b.123")),
        *((text, TOO_LONG) for text in ("x" * 65 + "@b.com", "a@" + "x" * 64 + ".com", "a@" + "xy." * 90 + "com")),
        *(
            (f"a@b.{name}", f"No mail arrives at an address in .{name}. Please give another.")
            for name in ("test", "local")
        ),
        *((text, SOMETHING) for text in ("a@-b.com", "a@b-.com", "a@xn--a.com")),
    ],
)
def test_a_mistake_is_named_in_a_sentence(typed: str, reason: str):
    with pytest.raises(service.InvalidAddress) as refusal:
        service.read_address(typed)
    assert str(refusal.value) == reason


def test_reserved_test_domains_pass_only_where_they_may():
    assert service.read_address("a@sigma.test", allow_test_domains=True).email == "a@sigma.test"
    with pytest.raises(service.InvalidAddress):
        service.read_address("a@sigma.test")


ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=3000)  # halves of surrogate pairs included


@given(st.one_of(ANY_TEXT, st.emails(), st.from_regex(r"a@\w{1,9}\.com", fullmatch=True)))
def test_any_text_is_an_address_or_is_refused(text: str):
    try:
        address = service.read_address(text)
    except service.InvalidAddress:
        return
    assert len(address.email) <= 320
    assert service.read_address(address.email) == address
    assert address.is_disposable in {True, False}


def test_the_arrival_is_read_from_the_pages_address():
    arrival = service.read_arrival(
        "https://sigma.example/join?utm_source=hn&utm_medium=a&utm_campaign=b&utm_term=c&utm_content=d&ref=FRIEND7#x",
        "https://news.example/item?id=1",
    )
    assert list(arrival.values()) == ["hn", "a", "b", "c", "d", "https://news.example/item?id=1", "/join", "FRIEND7"]


@given(ANY_TEXT, ANY_TEXT)
def test_any_address_and_referrer_can_be_kept(landing_url: str, referrer: str):
    arrival = service.read_arrival(landing_url, referrer)
    for name, value in arrival.items():
        assert len(value or "") <= LENGTHS[name]
        assert "\x00" not in (value or "").encode().decode()


def test_an_overlong_campaign_is_cut_and_costs_no_lead():
    arrival = service.read_arrival(f"https://sigma.example/?utm_source={'x' * 5000}&ref={'y' * 500}", "z" * 5000)
    kept = [len(arrival[name] or "") for name in ("utm_source", "referral_code", "referrer")]
    assert kept == [200, 64, 500]


@pytest.mark.parametrize(
    ("address", "disposable"),
    [
        ("a@mailinator.com", True),
        ("a@sub.mailinator.com", True),
        ("a@example.com", False),
        ("a@bücher.de", False),
        ("a@א1.com", False),
    ],
)
def test_throw_away_domains_are_known_by_themselves_and_below(address: str, disposable: bool):
    assert service.read_address(address).is_disposable is disposable


async def join(database, email: str, arrival: service.Arrival = NOWHERE) -> None:
    lead = service.new_lead(service.read_address(email), arrival, CONSENT_VERSION)
    await database.run(Step(ANONYMOUS, *service.joining([lead])))


@pytest.mark.anyio
async def test_joining_keeps_the_lead_with_its_arrival_and_consent(database, owner):
    arrival = service.read_arrival("https://sigma.example/?utm_source=o'hn\\&ref=F7", "https://news.example")
    await join(database, "alice@example.com", arrival)
    row = owner.execute(
        "select email, utm_source, referrer, landing_path, referral_code, consent_version, consent_at = created_at,"
        " disposable from leads"
    ).fetchone()
    assert row == ("alice@example.com", "o'hn\\", "https://news.example", "/", "F7", CONSENT_VERSION, True, None)


@pytest.mark.anyio
async def test_joining_again_changes_nothing(database, owner):
    await join(database, "alice@example.com", NOWHERE | {"utm_source": "first"})
    await join(database, "ALICE@example.com", NOWHERE | {"utm_source": "second"})
    assert owner.execute("select email, utm_source from leads").fetchall() == [("alice@example.com", "first")]


@pytest.mark.anyio
async def test_a_throw_away_address_is_marked_for_the_operator(database, owner):
    await join(database, "Bob@mailinator.com")
    await database.run(Step(SERVICE, *service.marking_disposable(["bob@mailinator.com"])))
    assert owner.execute("select email, disposable from leads").fetchall() == [("Bob@mailinator.com", True)]


@pytest.mark.anyio
async def test_the_count_of_founders_is_the_number_of_leads(database):
    for number in range(3):
        await join(database, f"founder-{number}@example.com")
    async with database.transaction(ANONYMOUS) as session:
        assert await service.count_founders(session) == 3
