"""The Dockerfile and compose.yaml, as far as they can be judged without Docker: what they name is there."""

from __future__ import annotations

import fnmatch
import re
import subprocess
from typing import Any

import pytest
import yaml

from sigma_app.cli import _COMMANDS
from sigma_app.frontend.build import _SOURCES
from sigma_app.settings import known_names
from tests.sigma import PROJECT_ROOT

DOCKERFILE = (PROJECT_ROOT / "Dockerfile").read_text().replace("\\\n", " ")
STAGES = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
OF_OTHERS = {"HOME", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "REFLEX_DIR", "REFLEX_WEB_WORKDIR"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((PROJECT_ROOT / "compose.yaml").read_text())


def copied() -> set[str]:
    """What the image is made from, of the checkout."""
    return {
        source for line in re.findall(r"^COPY (?!--from)(.*) \S+$", STAGES[0], re.MULTILINE) for source in line.split()
    }


def tracked() -> list[str]:
    return subprocess.run(
        ["git", "ls-files"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_it_is_made_from_files_that_are_there_and_let_through():
    let_through = [
        line[1:] for line in (PROJECT_ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    ]
    for source in copied():
        inside = [file for file in tracked() if file == source or file.startswith(f"{source}/")]
        assert inside, f"{source} is not in the repository"
        assert [
            file for file in inside if not any(file == one or file.startswith(f"{one}/") for one in let_through)
        ] == [], f"{source} does not pass .dockerignore"


def test_the_pages_of_an_image_are_those_of_its_sources():
    """The fingerprint of a build covers these: one that is missing would build again, at every start."""
    assert {source for source in _SOURCES if not any(fnmatch.fnmatch(source, f"{one}*") for one in copied())} == set()


def test_it_runs_as_nobody_in_particular_and_says_whether_it_lives():
    final = STAGES[-1]
    assert re.search(r"^USER [1-9]\d*$", final, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*/healthz", final, re.MULTILINE)
    assert not re.search(r"(KEY|SECRET|TOKEN|PASSWORD)=", DOCKERFILE)
    assert all(stage.startswith("python:3.12-slim") for stage in STAGES)


def test_what_it_sets_are_variables_that_somebody_reads():
    (settings,) = re.findall(r"^ENV (.*)$", STAGES[-1], re.MULTILINE)
    assert {pair.partition("=")[0] for pair in settings.split()} - set(known_names()) <= OF_OTHERS


def test_each_service_of_ours_runs_a_command_of_ours_with_variables_of_ours(compose: dict[str, Any]):
    ours = {name: service for name, service in compose["services"].items() if service.get("image") == "sigma"}
    assert {"migrate", "backend-1", "backend-2", "worker-1", "worker-2"} <= set(ours)
    for name, service in ours.items():
        if "entrypoint" in service:
            continue
        assert (service.get("command") or ["run"])[0] in _COMMANDS, name
        assert set(service["environment"]) <= set(known_names()), name
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["environment"]["SIGMA_WORKER"] == "off", name


def test_no_password_stands_in_it_and_the_database_is_reached_from_inside_alone(compose: dict[str, Any]):
    text = (PROJECT_ROOT / "compose.yaml").read_text()
    assert text.count("${POSTGRES_PASSWORD:?") == 2
    for name in ("postgres", "redis"):
        assert compose["services"][name]["networks"] == ["inside"]
        assert "ports" not in compose["services"][name]
    assert compose["networks"]["inside"] == {"internal": True}


def test_nginx_finds_the_backends_and_every_file_that_is_put_into_it(compose: dict[str, Any]):
    proxy = compose["services"]["proxy"]
    for mount in proxy["volumes"]:
        source = mount.partition(":")[0]
        assert source == "./tls" or not source.startswith("./") or (PROJECT_ROOT / source).is_file(), source
    behind = (PROJECT_ROOT / "docs" / "operations" / "compose-backends.conf").read_text()
    named = set(re.findall(r"server (\S+):3000 ", behind))
    assert named == {name for name in compose["services"] if name.startswith("backend-")} <= set(proxy["depends_on"])

    def without_addresses(text: str) -> str:
        return re.sub(r"server \S+ ", "server ", text.partition("upstream")[2])

    usual = (PROJECT_ROOT / "docs" / "operations" / "nginx-backends.conf").read_text()
    assert without_addresses(behind) == without_addresses(usual)
