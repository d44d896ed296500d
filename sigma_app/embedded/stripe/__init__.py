"""The sandbox: stands in for Stripe where no STRIPE_SECRET_KEY is set, in front of the same SDK. No money moves.

It keeps to Stripe's own API for the calls that `calls.py` lists, tells of events by signed webhooks over HTTP, and can
be told to misbehave. Its books are in Postgres, so that every process of one Sigma sees the same.

Left out: payment methods as objects (a customer's card is one word of what it does), taxes, currencies without cents,
subscriptions of more than one item, coupons for some months, balance transactions, Stripe's own mails.

`app.py` is the API, `acts.py` what people, banks and time do, `pages` where people do it, `faults.py` what goes wrong.
"""
