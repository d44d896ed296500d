"""What this process has counted, as `/metrics` would say it."""

from __future__ import annotations

from sigma_app.core.metrics import REGISTRY


def counted(name: str, **labels: str) -> float:
    """A number of `sigma_app.core.metrics`, by its name and labels there; 0 where there is none yet."""
    return REGISTRY.get_sample_value(name, labels) or 0


def deliveries(source: str) -> dict[str, float]:
    """What became of what was told at a webhook, by outcome."""
    outcomes = ("kept", "known", "forged", "refused", "failed")
    return {outcome: counted("sigma_webhook_deliveries_total", source=source, outcome=outcome) for outcome in outcomes}
