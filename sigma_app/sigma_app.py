"""The entry: collects each feature's pages and mounts them; nothing else."""

import reflex as rx

from sigma_app.features.site import page as site
from sigma_app.features.waitlist import page as waitlist

app = rx.App(toaster=None, html_lang="en")
for page in (*waitlist.PAGES, *site.PAGES):
    app.add_page(**page)
