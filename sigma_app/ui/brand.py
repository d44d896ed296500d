"""The mark and the wordmark, drawn as inline SVG so that they cost no request."""

import reflex as rx

from sigma_app.ui.link import link

SIGMA_OUTLINE = "M8 4H92V34H79V17H29L63 60 27 103H79V86H92V116H8V105L45 60 8 15Z"
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
        rx.el.path(d=CHECK_OUTLINE),
        view_box="0 0 24 24",
        class_name=f"fill-none stroke-current stroke-[2.5] {class_name}".strip(),
        aria_hidden="true",
    )


def wordmark() -> rx.Component:
    """Σ Sigma, linking home."""
    return link(
        sigma_mark("h-6 w-auto text-(--signal)"),
        rx.el.span("Sigma"),
        href="/",
        aria_label="Sigma, home",
        class_name="wordmark",
    )
