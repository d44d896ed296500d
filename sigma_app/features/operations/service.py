"""What other features may know of how Sigma runs, do about its jobs, and do for one person."""

from sigma_app.features.operations.health import checks
from sigma_app.features.operations.person import Receipt
from sigma_app.features.operations.person import erase as erase_person
from sigma_app.features.operations.person import export as export_person
from sigma_app.features.operations.person import find as find_person
from sigma_app.features.operations.person import find_to_erase as find_person_to_erase
from sigma_app.features.operations.person import in_words as kept_in_words
from sigma_app.features.operations.person import packed as packed_person
from sigma_app.features.operations.queue import JOBS, QueueNow, drop, queue_now, shown_arguments, try_again

__all__ = [
    "JOBS",
    "QueueNow",
    "Receipt",
    "checks",
    "drop",
    "erase_person",
    "export_person",
    "find_person",
    "find_person_to_erase",
    "kept_in_words",
    "packed_person",
    "queue_now",
    "shown_arguments",
    "try_again",
]
