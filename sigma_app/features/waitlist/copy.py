"""The words of the landing page: plain, dry, and true of a product that is still a waitlist."""

from typing import NamedTuple


class Entry(NamedTuple):
    """One line of the rehearsed night."""

    time: str
    part: str
    line: str


class Term(NamedTuple):
    """One of the six parts that add up to a company."""

    name: str
    text: str


class Exchange(NamedTuple):
    """One step, with each side's share of the work."""

    when: str
    you: str
    sigma: str


class Price(NamedTuple):
    """A line of the bill."""

    item: str
    amount: str


class Question(NamedTuple):
    """A question and its answer, as paragraphs."""

    question: str
    answer: tuple[str, ...]


REHEARSAL = (
    Entry("23:04", "You", "“Sourdough, for dogs.” Then snoring."),
    Entry("23:41", "Paperwork", "Articles drafted. You sign page four."),
    Entry("00:52", "Brand", "Eleven names considered. One is good."),
    Entry("02:17", "Website", "Written, built, on its own domain."),
    Entry("03:38", "Payments", "Takes a first card. Refunds work, too."),
    Entry("05:05", "Banking", "Forms filled in. Bank opens at nine."),
    Entry("06:20", "Marketing", "Launch post drafted. No hashtags."),
)
REHEARSAL_SUM = Entry("06:58", "Company", "One, complete. Good morning, CEO.")

TERMS = (
    Term(
        "Legal paperwork",
        "Formation documents, terms, registrations. Filled in and put in order. You only sign.",
    ),
    Term("Branding", "A name that is still free, a logo that survives being small, colours on speaking terms."),
    Term("Website", "Written, built and on your own domain. It reads as if somebody had thought about it."),
    Term(
        "Payment processing",
        "A checkout that takes cards, sends receipts and pays out to you. In that order.",
    ),
    Term("Banking set-up", "A business account, applied for with the right papers. The first time."),
    Term("Marketing", "A launch with something to say, and a month of things to say after it."),
)

EXCHANGES = (
    Exchange("Tonight", "Leave an e-mail address.", "Keeps your place in line. Writes only about that."),
    Exchange(
        "When your place comes up",
        "Describe the idea. A paragraph will do. A napkin, photographed, might.",
        "Splits it into the six parts and shows you the plan before touching anything.",
    ),
    Exchange("The night after", "Sleep.", "Works through the plan, and leaves on your desk what only you may sign."),
)

PRICES = (
    Price("A place in line", "0.00"),
    Price("Keeping it", "0.00"),
    Price("Giving it up", "0.00"),
    Price("Sigma itself", "once you are in"),
)

QUESTIONS = (
    Question(
        "Is Sigma open yet?",
        (
            "No. Today it is a waitlist, and everything above is what we are building it to do. We would "
            "rather open late than hand you half a company.",
        ),
    ),
    Question(
        "What happens after I join?",
        (
            "You get two e-mails. The first asks whether it was you; once you have said yes, the second has your "
            "place in line. Then quiet, until there is something to say: your place is coming up.",
        ),
    ),
    Question(
        "Will it really happen while I sleep?",
        (
            "The parts that can, yes. Banks and registries keep office hours, and some signatures have to "
            "be yours. Sigma is built to do everything up to that line, and to stop there.",
        ),
    ),
    Question(
        "Which countries, and when?",
        ("Not settled, so we will not pretend. The list hears both first.",),
    ),
    Question(
        "What do you do with my address?",
        (
            "We keep it to run the list, beside the page that sent you here. No trackers, no selling, no "
            "cookies for visitors. The privacy page says it in full, and is short.",
        ),
    ),
    Question(
        "Why the Σ?",
        ("It is the sign for a sum. A company is one: six dull parts that only count once they are added up.",),
    ),
)
