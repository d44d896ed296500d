"""Where people do what they would do at Stripe: checkout, portal, an invoice's page; and a dashboard for developers.

All are plain pages and forms, which need no script.
"""

from sigma_app.embedded.stripe.pages import checkout, dashboard, invoice, portal

ROUTES = [*checkout.ROUTES, *portal.ROUTES, *invoice.ROUTES]
"""For everybody who pays."""
DASHBOARD_ROUTES = dashboard.ROUTES
"""For whoever develops Sigma on this machine, and nobody else."""
