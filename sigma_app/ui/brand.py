"""The mark and the wordmark, drawn as inline SVG so that they cost no request."""

import reflex as rx

SIGMA_OUTLINE = "M6 4H94V38H78V22H38L68 60 38 98H78V82H94V116H6V101L39 60 6 19Z"
CHECK_OUTLINE = "M4 12.5 9.5 18 20 6.5"


def sigma_mark(class_name: str = "") -> rx.Component:
    """The letter Σ; decorative, so its neighbour has to carry the name."""
    return rx.el.svg(
        rx.el.path(d=SIGMA_OUTLINE),
        view_box="0 0 100 120",
        class_name=f"fill-current {class_name}".strip(),
        aria_hidden="true",
    )


def check_mark(class_name: str = "") -> rx.Component:
    """A tick; decorative."""
    return rx.el.svg(
        rx.el.path(d=CHECK_OUTLINE, fill="none", stroke="currentColor", stroke_width="2.5"),
        view_box="0 0 24 24",
        class_name=class_name,
        aria_hidden="true",
    )


def wordmark() -> rx.Component:
    """Σ Sigma, linking home."""
    return rx.el.a(
        sigma_mark("h-6 w-auto text-(--signal)"),
        rx.el.span("Sigma"),
        href="/",
        aria_label="Sigma, home",
        class_name="wordmark",
    )
