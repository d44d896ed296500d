"""What a person can mend is one line that names it and the way out, with exit code 2 and no traceback."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from pathlib import Path

import pytest

from sigma_app.cli import obstacles, parts, progress
from tests.cli.test_places import check_out
from tests.cli.test_run import assert_one_line
from tests.conftest import Server, settings_for
from tests.sigma import Sigma, free_port


@pytest.mark.parametrize("command", ["run", "migrate", "psql"])
@pytest.mark.parametrize("place", ["file", "file/below", "/proc/sigma", "/sys/sigma", "closed/data"])
def test_a_data_directory_that_cannot_be_one_is_one_line(tmp_path: Path, command: str, place: str):
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir(mode=0o500)
    if place == "closed/data" and os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    done = Sigma(tmp_path / place).run(command)
    assert_one_line(done, "SIGMA_DATA_DIR", str(tmp_path / place))


@pytest.mark.parametrize("host", ["h" * 80, "a..b", "8.8.8.8"])
def test_a_host_that_is_no_address_of_this_machine_is_one_line(sigma: Sigma, host: str):
    sigma.variables = {"HOST": host}
    assert_one_line(sigma.run("run"), "HOST", host)


def test_it_listens_on_ipv6_and_says_so(sigma: Sigma):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    sigma.variables = {"HOST": "::1"}
    sigma.start()
    assert sigma.base_url == f"http://[::1]:{sigma.port}"  # where it has just answered
    assert f"Sigma is at {sigma.base_url}" in sigma.log.read_text()


@pytest.mark.parametrize("spoil", ["a file", "a link to nowhere"])
def test_the_checkouts_own_directory_that_cannot_be_one_is_one_line(tmp_path: Path, spoil: str):
    root = check_out(tmp_path / "checkout")
    shutil.rmtree(root / ".sigma")
    if spoil == "a file":
        (root / ".sigma").touch()
    else:
        (root / ".sigma").symlink_to("/proc/nowhere")
    assert_one_line(Sigma(tmp_path / "data", root=root).run("build"), str(root / ".sigma"))


def test_an_env_file_that_is_not_utf_8_is_one_line(tmp_path: Path):
    root = check_out(tmp_path / "checkout")
    (root / ".env").write_bytes(b"HOST=gr\xf6\xdfe")
    assert_one_line(Sigma(tmp_path / "data", root=root).run("run"), ".env", "UTF-8")


def test_a_build_for_production_says_what_is_missing_before_it_starts(sigma: Sigma):
    sigma.variables = {"SIGMA_ENV": "production", "SIGMA_ALLOW_LOCAL": "database,auth,payments,mail"}
    assert_one_line(sigma.run("build"), "BASE_URL")


def test_a_misspelt_variable_is_said_and_does_not_stop_a_command(sigma: Sigma):
    sigma.variables = {"STRIPE_SECRETKEY": "sk_s3cret"}
    done = sigma.run("status", "--env")
    assert done.returncode == 0
    assert done.stderr == "STRIPE_SECRETKEY: not a variable that Sigma knows. Did you mean STRIPE_SECRET_KEY?\n"


@pytest.mark.parametrize("command", ["run", "dev"])
@pytest.mark.parametrize("wrong", ["unreachable", "refused", "malformed"])
def test_a_wrong_login_address_is_one_line_and_comes_before_any_request(
    sigma: Sigma, server: Server, owner_url: str, command: str, wrong: str
):
    logins = {
        "unreachable": f"postgresql://login:s3cret@127.0.0.1:{free_port()}/sigma",
        "refused": owner_url.replace("postgres@", "nobody:s3cret@"),
        "malformed": "postgresql://login:s3cret@host:port/sigma",
    }
    sigma.variables = {"DATABASE_URL": owner_url, "DATABASE_LOGIN_URL": logins[wrong]}
    done = sigma.run(command)
    assert_one_line(done, "DATABASE_")
    assert "s3cret" not in done.stdout + done.stderr


def disk(number: int, filename: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), filename)


def test_an_error_without_a_file_or_a_disk_is_a_bug_and_stays_one():
    assert obstacles.explain(disk(errno.EBADF)) is None
    assert obstacles.explain(ConnectionResetError()) is None


def test_a_full_disk_is_named_as_the_one_that_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(obstacles, "get_settings", lambda: settings_for(tmp_path))
    monkeypatch.setattr(obstacles, "_free", lambda place: 0 if place == obstacles._BUILT else 2**40)
    line = obstacles.explain(disk(errno.ENOSPC))
    assert line is not None
    assert line.startswith(f"{obstacles._BUILT}: No space left")
    assert str(tmp_path) not in line
    elsewhere = obstacles.explain(disk(errno.ENOSPC, "/mnt/other/file"))
    assert elsewhere is not None
    assert elsewhere.startswith("/mnt/other/file: No space left")


def test_what_takes_the_money_is_said(tmp_path: Path):
    def described(**variables: str) -> tuple[str, str]:
        settings = settings_for(tmp_path, **variables)
        return next((where, what) for name, where, what in parts.describe_parts(settings) if name == "payments")

    assert described() == ("local", "a sandbox in which no money moves; STRIPE_SECRET_KEY makes it hosted")
    secret = {"STRIPE_WEBHOOK_SECRET": "whsec_1"}
    assert described(STRIPE_SECRET_KEY="sk_live_1", **secret) == ("hosted", "Stripe, live")
    assert described(STRIPE_SECRET_KEY="rk_test_1", **secret)[1] == "Stripe, test mode, no money moves"


def test_where_mail_goes_is_said(tmp_path: Path):
    def described(**variables: str) -> tuple[str, str]:
        settings = settings_for(tmp_path, **variables)
        return next((where, what) for name, where, what in parts.describe_parts(settings) if name == "mail")

    where, what = described(PORT="3210")
    assert where == "local"
    assert "http://localhost:3210/dev/mailbox" in what
    assert "/dev/mailbox" not in described(SIGMA_ENV="production")[1]
    where, what = described(RESEND_API_KEY="re_s3cret", BASE_URL="https://sigma.example.com")
    assert (where, what) == ("hosted", "Resend, from Sigma <hello@sigma.example.com>")


def test_what_is_shown_keeps_its_brackets(capsys: pytest.CaptureFixture[str]):
    steps = progress.Steps()
    with steps.step("Database") as step:
        step.update("asking http://[fd00::1]:3000")
    steps.block("Sigma is at http://[fd00::2]:3000", [("database", "hosted", "[fd00::3]")], "[fd00::4]")
    shown = capsys.readouterr().err
    assert [f"[fd00::{number}]" in shown for number in (1, 2, 3, 4)] == [True] * 4
