"""The tables as SQLModel classes, one file per aggregate. A test holds them equal to the migrations."""

from sqlmodel import SQLModel

from sigma_app.models.billing import AccessChange, Checkout, Customer, Purchase, Subscription
from sigma_app.models.catalogue import Price, Product
from sigma_app.models.consent import Consent
from sigma_app.models.lead import Lead
from sigma_app.models.lead_link import LeadLink
from sigma_app.models.profile import Profile
from sigma_app.models.session import PortalSession
from sigma_app.models.user import User

metadata = SQLModel.metadata

__all__ = [
    "AccessChange",
    "Checkout",
    "Consent",
    "Customer",
    "Lead",
    "LeadLink",
    "PortalSession",
    "Price",
    "Product",
    "Profile",
    "Purchase",
    "Subscription",
    "User",
    "metadata",
]
