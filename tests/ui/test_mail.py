"""A letter: both parts say the same, and what is put into it stays text."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest

from sigma_app.ui.mail import Letter, render

LINK = "https://sigma.example.com/confirm?token=" + "x" * 80 + "&a=b"
BUTTON = "Confirm my address"
LETTER = Letter(
    subject="Confirm your address",
    preheader="One click, and your place is kept.",
    heading="Keep your place",
    paragraphs=["You asked for a place on the list, and this is how it is kept, whatever happens in the meantime."],
    action=(BUTTON, LINK),
    code="482 913",
    notes=["The link works for 24 hours."],
    unsubscribe="https://sigma.example.com/unsubscribe?t=1",
)


class Parsed(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_both_parts_say_everything():
    _, html, text = render(LETTER)
    for words in (LETTER.heading, LETTER.notes[0], LETTER.code, BUTTON, LETTER.unsubscribe):
        assert words is not None
        assert words in unescape(html)
        assert words in text
    assert LETTER.preheader in html


def test_the_plain_text_has_the_link_and_the_code_each_on_a_line_of_its_own_and_short_lines_else():
    lines = render(LETTER).text.splitlines()
    assert LINK in lines
    assert "482 913" in [line.strip() for line in lines]
    assert max(len(line) for line in lines if line != LINK) <= 72
    assert "\n\n\n" not in render(LETTER).text


def test_a_letter_without_a_code_notes_or_a_way_out_has_no_trace_of_them():
    subject, html, text = render(replace(LETTER, code=None, notes=(), unsubscribe=None))
    assert "None" not in subject + html + text
    assert text.rstrip().endswith(LINK)
    assert "No more mails" not in html


def test_a_letter_with_a_code_alone_speaks_of_no_button():
    _, html, text = render(replace(LETTER, action=None, unsubscribe=None))
    assert "<a " not in html
    assert "utton" not in re.sub(r"<style>.*</style>", "", html, flags=re.DOTALL) + text
    for part in (html, text):
        assert "Type this code:" in part
        assert "Or type" not in part
    assert "\n\n\n" not in text


@pytest.mark.parametrize("name", ["subject", "preheader", "heading", "code", "paragraphs", "notes", "action"])
def test_markup_in_a_name_stays_text(name: str):
    mischief = "<b>\"Robin\"</b> & <script>alert('1')</script>"
    given = {"paragraphs": [mischief], "notes": [mischief], "action": (mischief, 'https://x.example/?"><b>')}
    _, html, text = render(replace(LETTER, **{name: given.get(name, mischief)}))
    assert "<b>" not in html
    assert "<script" not in html
    assert mischief in unescape(html)
    if name not in ("subject", "preheader"):
        assert " ".join(mischief.split()) in " ".join(text.split())


@pytest.mark.parametrize("between", ["\n", "\r\nBcc: eve@example.com\r\n", "\u2028", "\x0b"])
def test_a_subject_is_one_line(between: str):
    subject = render(replace(LETTER, subject=f"Confirm{between}it")).subject
    assert len(subject.splitlines()) == 1
    assert "\r" not in subject


def test_the_same_letter_gives_the_same_bytes():
    assert render(LETTER) == render(replace(LETTER, subject=" Confirm your  address "))


def test_nothing_is_loaded_and_nothing_runs():
    page = Parsed(render(LETTER).html)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "link", "iframe", "form", "object", "video"})
    assert all(not name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "url(" not in render(LETTER).html


def test_the_action_is_the_address_of_every_link_but_the_way_out():
    links = [attributes["href"] for tag, attributes in Parsed(render(LETTER).html).tags if tag == "a"]
    assert links == [LINK, LINK, LETTER.unsubscribe]


def test_the_code_comes_after_the_button_and_says_what_it_is_for():
    for part in (render(LETTER).html, render(LETTER).text):
        assert part.index(LINK.split("?")[0]) < part.index("Or type this code:") < part.index("482 913")


def test_an_address_in_a_note_is_a_link():
    notes = ["The code goes here: https://sigma.example.com/confirm?a=1&b=2.", "No http in this <one>."]
    html = render(replace(LETTER, notes=notes)).html
    address = "https://sigma.example.com/confirm?a=1&b=2"
    links = [attributes["href"] for tag, attributes in Parsed(html).tags if tag == "a"]
    assert links == [LINK, LINK, address, LETTER.unsubscribe]
    assert f">{address}</a>.</p>" in unescape(html)
    assert ">No http in this &lt;one&gt;.</p>" in html


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("scheme", "background", "colours"),
    [
        ("light", "#FDFEFB", ["#12150F", "#51594B", "#2D6C12"]),
        ("light", "#F3F6EE", ["#51594B"]),
        ("dark", "#1A1A1A", ["#F1F4EC", "#A6ADA0", "#79E74C"]),
        ("dark", "#0F0F0F", ["#A6ADA0", "#B7FFAB", "#6AD040"]),
        ("button", "#6AD040", ["#0F0F0F"]),
    ],
)
def test_the_colours_can_be_told_apart(scheme: str, background: str, colours: list[str]):
    used = set(re.findall(r"#[0-9A-F]{6}", render(LETTER).html))
    assert {background, *colours} <= used
    for colour in colours:
        lighter, darker = sorted((luminance(colour), luminance(background)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (scheme, colour)
