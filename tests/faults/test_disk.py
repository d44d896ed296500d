"""No space left: for the files of storage, and for the database."""

from __future__ import annotations

import io
import os

import httpx
from PIL import Image

from sigma_app.embedded import postgres
from tests.conftest import settings_for
from tests.faults.conftest import members
from tests.faults.crowd import BOUND, Member
from tests.faults.disks import full, small_disk
from tests.faults.ledger import all_well
from tests.faults.test_kills import everybody
from tests.sigma import Sigma


def test_no_picture_is_half_kept_when_the_disk_is_full(sigma: Sigma):
    storage = sigma.data_dir / "storage"
    storage.mkdir(parents=True)
    with small_disk(storage, 8):
        sigma.start()
        (member,) = members(sigma, 1)
        assert put_picture(sigma, member, 64).status_code == httpx.codes.OK
        before = shown(sigma, member)
        with full(storage):
            refused = put_picture(sigma, member, 512)
            assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE, refused.text
            assert "try again" in refused.json()["message"]
            assert shown(sigma, member) == before
            assert kept(storage) == 1
        assert put_picture(sigma, member, 512).status_code == httpx.codes.OK
        assert shown(sigma, member) != before
        assert kept(storage) == 1
        if sigma.process:
            sigma.stop()


def test_the_database_s_disk_is_full(sigma: Sigma, long: bool):
    sigma.start()
    sigma.stop()
    home = postgres.locate(settings_for(sigma.data_dir)).layout.home
    with small_disk(home, 384):
        sigma.start()
        with everybody(sigma) as crowd:
            crowd.wait_for("join", "socket", "event", "edit", "sign-up")
            with full(home):
                crowd.wait_for("join", "event", outcome="later", count=3 if long else 1)
                said = httpx.get(f"{sigma.base_url}/readyz", timeout=BOUND, trust_env=False)
                assert said.status_code == httpx.codes.SERVICE_UNAVAILABLE
                assert httpx.get(sigma.base_url, timeout=BOUND, trust_env=False).status_code == httpx.codes.OK
            crowd.wait_for("join", "socket", "event", "edit", "sign-up")
        all_well(crowd, long=long)
        sigma.stop()


def put_picture(sigma: Sigma, member: Member, side: int) -> httpx.Response:
    """Upload a picture that compresses badly."""
    picture = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(picture, "PNG")
    headers = {"accept": "application/json", "cookie": member.cookie}
    address = f"{sigma.base_url}/profile/picture"
    return httpx.post(address, content=picture.getvalue(), headers=headers, timeout=BOUND, trust_env=False)


def shown(sigma: Sigma, member: Member) -> bytes:
    answer = httpx.get(
        f"{sigma.base_url}/profile/picture", headers={"cookie": member.cookie}, timeout=BOUND, trust_env=False
    )
    assert answer.status_code == httpx.codes.OK
    return answer.content


def kept(storage) -> int:
    """Files with content, whole or half."""
    return len([path for path in storage.rglob("*") if path.is_file() and path.name != "filler"])
