"""New objects as Stripe lays them out, before anything has happened to them: those with many fields.

A field that is always null here is one that Sigma has no use for.
"""

from __future__ import annotations

from sigma_app.embedded.stripe.books import Thing, listed, new_id, nulls
from sigma_app.embedded.stripe.form import flag, whole


def checkout_session(params: Thing, identity: str, customer: Thing | None, lines: list[Thing], now: int) -> Thing:
    """An open checkout; `url` and `expires_at` are yet to be said."""
    is_taxed = flag(params.get("automatic_tax") or {}, "enabled")
    tax = {"enabled": is_taxed, "status": "complete" if is_taxed else None, "provider": "stripe" if is_taxed else None}
    data = params.get("subscription_data") or params.get("payment_intent_data") or {}
    total, is_subscribed = sum(one["amount_total"] for one in lines), params["mode"] == "subscription"
    return {
        "id": identity,
        "object": "checkout.session",
        "allow_promotion_codes": flag(params, "allow_promotion_codes") if "allow_promotion_codes" in params else None,
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {**tax, "liability": None},
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "created": now,
        "currency": lines[0]["currency"],
        "custom_fields": [],
        "custom_text": dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")),
        "customer": customer["id"] if customer else None,
        "customer_email": params.get("customer_email"),
        "discounts": [],
        "invoice_creation": _invoice_creation(params),
        "livemode": False,
        "metadata": params.get("metadata") or {},
        "mode": params["mode"],
        "payment_method_options": {},
        "payment_method_collection": "always" if is_subscribed else "if_required",
        "payment_method_types": ["card", "sepa_debit"],
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "success_url": params["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "_lines": lines,
        "_data": data.get("metadata") or {},
        "_trial_days": whole(data, "trial_period_days", 0) or 0,
        **nulls(
            "adaptive_pricing after_expiration billing_address_collection client_secret "
            "collected_information consent consent_collection currency_conversion customer_account "
            "customer_creation customer_details invoice locale origin_context payment_intent "
            "payment_link payment_method_configuration_details permissions recovered_from "
            "saved_payment_method_options setup_intent shipping_address_collection shipping_cost "
            "submit_type subscription wallet_options _intent"
        ),
    }


def _invoice_creation(params: Thing) -> Thing | None:
    if params["mode"] != "payment":
        return None
    data = nulls("account_tax_ids custom_fields description footer issuer rendering_options")
    enabled = flag(params.get("invoice_creation") or {}, "enabled")
    return {"enabled": enabled, "invoice_data": {**data, "metadata": {}}}


def checkout_line(price: Thing, name: str, amount: int, quantity: int) -> Thing:
    """What is bought in a checkout."""
    return {
        "id": new_id("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": name,
        "metadata": {},
        "price": price,
        "quantity": quantity,
    }


def subscription(
    identity: str, customer: Thing, item: Thing, now: int, metadata: Thing, trial_end: int | None
) -> Thing:
    """A subscription that is not paid yet, or in its trial."""
    price = item["price"]
    return {
        "id": identity,
        "object": "subscription",
        "automatic_tax": {"enabled": False, "disabled_reason": None, "liability": None},
        "billing_cycle_anchor": trial_end or now,
        "billing_mode": {"type": "flexible", "flexible": {"proration_discounts": "included"}},
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": now,
        "currency": price["currency"],
        "customer": customer["id"],
        "default_tax_rates": [],
        "discounts": [],
        "invoice_settings": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": {"type": "self"},
        },
        "items": listed([item], f"/v1/subscription_items?subscription={identity}"),
        "livemode": False,
        "metadata": metadata,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "start_date": now,
        "status": "trialing" if trial_end else "incomplete",
        "test_clock": customer["test_clock"],
        "trial_end": trial_end,
        "trial_settings": {
            "end_behavior": {"billing_cycle_anchor": None, "missing_payment_method": "create_invoice"},
        },
        "trial_start": now if trial_end else None,
        "_told": [],
        "_pending": [],
        **nulls(
            "application application_fee_percent billing_cycle_anchor_config billing_thresholds "
            "cancel_at canceled_at customer_account days_until_due default_payment_method "
            "default_source description ended_at latest_invoice next_pending_invoice_item_invoice "
            "on_behalf_of pause_collection pending_invoice_item_interval pending_setup_intent "
            "pending_update schedule status_details transfer_data"
        ),
    }


def subscription_item(subscription: str, price: Thing, quantity: int, start: int, end: int) -> Thing:
    """What is subscribed to, and its period."""
    return {
        "id": new_id("si"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": start,
        "current_period_start": start,
        "current_period_end": end,
        "discounts": [],
        "metadata": {},
        "plan": plan_of(price),
        "price": price,
        "quantity": quantity,
        "subscription": subscription,
        "tax_rates": [],
    }


def plan_of(price: Thing) -> Thing:
    """A price in the shape that it had before there were prices, which items still have."""
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": "per_unit",
        "created": price["created"],
        "currency": price["currency"],
        "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "nickname": price["nickname"],
        "product": price["product"],
        "usage_type": "licensed",
        **nulls("meter tiers_mode transform_usage trial_period_days"),
    }


def invoice(identity: str, customer: Thing, lines: list[Thing], now: int) -> Thing:
    """A draft for these lines; what it comes to is yet to be said."""
    return {
        "id": identity,
        "object": "invoice",
        "account_country": "DE",
        "account_name": "Sigma",
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_shipping": 0,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": {
            "enabled": False,
            "disabled_reason": None,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "collection_method": "charge_automatically",
        "created": now,
        "currency": lines[0]["currency"],
        "customer": customer["id"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_tax_rates": [],
        "discounts": [],
        "issuer": {"type": "self"},
        "lines": listed(lines, f"/v1/invoices/{identity}/lines"),
        "livemode": False,
        "metadata": {},
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": customer["balance"],
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "test_clock": customer["test_clock"],
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "total_discount_amounts": [],
        **nulls(
            "account_tax_ids application automatically_finalizes_at custom_fields customer_account "
            "customer_shipping default_payment_method default_source description due_date "
            "effective_at ending_balance footer from_invoice hosted_invoice_url invoice_pdf "
            "last_finalization_error latest_revision next_payment_attempt number on_behalf_of parent "
            "receipt_number rendering shipping_cost shipping_details statement_descriptor "
            "webhooks_delivered_at"
        ),
    }


def invoice_line(
    price: Thing, amount: int, words: str, period: tuple[int, int], item: Thing | None, proration: bool = False
) -> Thing:
    """A line of an invoice that is yet to be made; `item` is the subscription's."""
    parent: Thing | None = None
    if item:
        details = {"invoice_item": None, "proration": proration, "proration_details": {"credited_items": None}}
        parent = {
            "type": "subscription_item_details",
            "invoice_item_details": None,
            "subscription_item_details": {
                **details,
                "subscription": item["subscription"],
                "subscription_item": item["id"],
            },
        }
    return {
        "id": new_id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": price["currency"],
        "description": words,
        "discount_amounts": [],
        "discountable": not proration,
        "discounts": [],
        "livemode": False,
        "metadata": {},
        "parent": parent,
        "period": {"start": period[0], "end": period[1]},
        "pretax_credit_amounts": [],
        "quantity": 1,
        "quantity_decimal": "1",
        "subtotal": amount,
        "taxes": [],
        "pricing": {
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
            "price_details": {"price": price["id"], "product": price["product"]},
        },
        "subscription": item["subscription"] if item else None,
    }
