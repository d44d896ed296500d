"""Reflex's configuration; values come from sigma_app/settings.py, logic lives in sigma_app/frontend."""

import reflex as rx
from reflex_base.constants import StateManagerMode

from sigma_app.frontend.dev_server import PassRoutesOn
from sigma_app.frontend.finish import FinishPages
from sigma_app.settings import get_settings

config = rx.Config(
    app_name="sigma_app",
    api_url=get_settings().base_url,
    deploy_url=get_settings().base_url,
    cors_allowed_origins=[get_settings().base_url],
    plugins=[rx.plugins.TailwindV4Plugin(), rx.plugins.SitemapPlugin(), FinishPages(), PassRoutesOn()],
    disable_plugins=[rx.plugins.RadixThemesPlugin],
    state_manager_mode=StateManagerMode("redis" if get_settings().redis_url else "memory"),
    trusted_proxy_hops=get_settings().trusted_proxies,
    frontend_compression_formats=["brotli", "gzip"],
    show_built_with_reflex=False,
    telemetry_enabled=False,
)
