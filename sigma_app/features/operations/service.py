"""What other features may know of how Sigma runs, and what it does for one person."""

from sigma_app.features.operations.health import checks
from sigma_app.features.operations.person import Receipt
from sigma_app.features.operations.person import erase as erase_person
from sigma_app.features.operations.person import export as export_person
from sigma_app.features.operations.queue import queue_now

__all__ = ["Receipt", "checks", "erase_person", "export_person", "queue_now"]
