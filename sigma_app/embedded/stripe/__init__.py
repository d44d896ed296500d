"""The sandbox: stands in for Stripe where no STRIPE_SECRET_KEY is set, in front of the same SDK. No money moves.

It keeps to Stripe's own API for the calls that `calls.py` lists, tells of events by signed webhooks over HTTP, and can
be told to misbehave. Its books are in Postgres, so that every process of one Sigma sees the same.

Simpler than Stripe:

- Payment methods are no objects: a customer's card is one word for what it does, and whoever pays by card at a checkout
  has one that pays. No setups, wallets, receipts, PDFs, mails of Stripe's own, fees, balance transactions, payouts.
- No tax is worked out, amounts are of currencies with cents, and coupons last once or forever, have no limit of their
  own, and are used at a checkout alone.
- A subscription has one item. It pauses by `keep_as_draft`, its trial may last ten years and moves only while it runs,
  its upcoming invoice shows the regular price alone, and a resumption that is not paid at once leaves it paused. No
  schedules, credit notes or quotes; invoices are not made or changed by hand.
- What fails is tried again after three, five and seven days, where Stripe chooses the days; what becomes of it then is
  said by `acts.after_last_try`, where Stripe has a setting of the account.
- The portal cancels at the period's end alone, and changes no address.
- A refund succeeds at once. A dispute takes no evidence and knows no deadline, and an inquiry keeps a refund back, too.
- Test clocks are turned before the answer is given, live on, and take customers who are there already.
- Lists have the filters of `calls.py`; there is no search. Parameters inside of parameters are not checked.
- Only what Sigma reads is told of: no `invoice.updated`, `charge.updated`, `customer.discount.*`, `payment_method.*`.
  Events are kept for ever, and tried ten times in half a day, where Stripe goes on for three days.
- One version of the API. Any key opens it, and nothing is too much unless `faults.py` is told so. Of what is refused
  only a declined card is kept under an idempotency key, where Stripe keeps whatever it had begun to do.
- Taken without effect: `cancel_at` of a new subscription, `payment_behavior` of a change, `cancellation_details`,
  `customer_update`, `automatic_tax`, an endpoint's `api_version`, and what a resumption says of anchor and prorations.

`app.py` is the API, `acts.py` what people, banks and time do, `pages` where people do it, `faults.py` what goes wrong.
"""
