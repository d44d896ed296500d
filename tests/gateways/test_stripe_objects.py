"""Stripe's objects as they are read, where the sandbox has none of the kind."""

from __future__ import annotations

import pytest
import stripe

from sigma_app.gateways.stripe_objects import _price


@pytest.mark.parametrize(
    ("fixed", "sold"), [({"unit_amount": 2900}, True), ({"unit_amount": 0}, True), ({"unit_amount": None}, False)]
)
def test_a_price_without_a_fixed_amount_is_not_for_sale(fixed: dict, sold: bool):
    told = {"id": "price_1", "product": "sigma", "lookup_key": "sigma_monthly", "active": True, "currency": "usd"}
    read = _price(stripe.Price.construct_from({**told, "recurring": None, **fixed}, None))
    assert read.active is sold
