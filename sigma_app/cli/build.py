"""`python -m sigma_app build`: the production frontend, ahead of time (an image, a test run)."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from sigma_app.cli.progress import Steps
from sigma_app.frontend.build import ensure_built
from sigma_app.settings import get_settings

_KEPT = ("assets", "fonts")  # whose names change with what they hold; pages are the backends', which fill them in


@click.command()
@click.option(
    "--files",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also lay the files that never change into this directory, beside those of earlier builds, for a web server.",
)
def command(files: Path | None) -> None:
    """Build the production frontend if its sources changed."""
    get_settings()  # the export reads them too, and would put many lines around a mistake
    with Steps() as steps:
        with steps.step("Pages") as step:
            built = ensure_built(step.update)
        if files:
            with steps.step("Files") as step:
                step.update(f"laying them into {files}")
                _lay(built, files)


def _lay(built: Path, files: Path) -> None:
    """Copy the kept directories of a build; each file appears whole, and none is taken away."""
    for path in sorted(file for name in _KEPT for file in (built / name).rglob("*") if file.is_file()):
        place = files / path.relative_to(built)
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f".{place.name}.new")
        shutil.copyfile(path, draft)
        draft.replace(place)
