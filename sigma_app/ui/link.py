"""Links that the browser follows by itself.

`rx.el.a` is React Router's link: it changes page without loading a document, so a skip link moves no focus
and a page's own script does not run. These pages are static documents and want plain anchors.
"""

import reflex as rx


def link(*children: str | rx.Component, href: str, **props) -> rx.Component:
    """A plain <a>."""
    return rx.el.A.create(*children, href=href, **props)
