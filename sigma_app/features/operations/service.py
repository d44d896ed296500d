"""What other features may know of how Sigma runs."""

from sigma_app.features.operations.health import checks
from sigma_app.features.operations.queue import queue_now

__all__ = ["checks", "queue_now"]
