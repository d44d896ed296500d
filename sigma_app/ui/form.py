"""Forms that the browser posts by itself.

`rx.el.form` prevents that on a page with state: its submit is an event of Reflex's, whether it has a handler or not.
"""

import reflex as rx
from reflex_components_core.el.elements.base import BaseHTML


class _Form(BaseHTML):
    tag = "form"


def plain_form(*children: rx.Component, action: str, **props) -> rx.Component:
    """A plain <form> that is posted to `action`."""
    attributes = {"action": action, "method": "post", **props.pop("custom_attrs", {})}
    return _Form.create(*children, custom_attrs=attributes, **props)
