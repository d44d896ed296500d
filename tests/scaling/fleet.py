"""Sigma on more than one process, as docs/operations/scaling.md has it: nginx with our file for it, two backends, two
workers, Redis, and Supabase with its Postgres elsewhere. Everything on this machine, on ports of its own."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.programs import program
from tests.redis_server import RedisServer
from tests.sigma import PROJECT_ROOT, Sigma, Supabase, free_port

OPERATIONS = PROJECT_ROOT / "docs" / "operations"
HOST = "localhost"
_OF_SUPABASE = ("VITE_SUPABASE_URL", "VITE_SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY", "DATABASE_URL")
_START_SECONDS = 30
_WIDE = "1000000/minute"
_LIMITS = ("JOIN_LIMIT_PER_ADDRESS", "JOIN_LIMIT_PER_NETWORK", "ACCOUNT_LIMIT_PER_ADDRESS", "ACCOUNT_LIMIT_PER_NETWORK")


@dataclass
class Worker(Sigma):
    """`python -m sigma_app worker`, which answers monitors at its port."""

    command = ("worker",)

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"SIGMA_WORKER_PORT": str(self.port)}


@dataclass
class Fleet:
    """All of it, running."""

    url: str
    """Where people come: https, at nginx."""
    plain_url: str
    """Where nginx sends them there from."""
    certificate: Path
    backends: list[Sigma]
    workers: list[Worker]
    supabase: Supabase
    redis_url: str
    scratch: Path

    @property
    def access_log(self) -> Path:
        """Where nginx has a line for each request."""
        return self.scratch / "access.log"

    @property
    def logs(self) -> list[Path]:
        """All that nginx and the backends write down."""
        ours = [self.scratch / name for name in ("error.log", "main.log", "nginx.log", "nginx.out")]
        return [self.access_log, *ours, *(backend.log for backend in self.backends)]

    @property
    def host(self) -> str:
        """As browsers name it in `Host`."""
        return self.url.partition("//")[2]

    def through(self, backend: Sigma) -> httpx.Client:
        """A client of one backend, whose requests come as nginx sends them."""
        headers = {"host": self.host, "x-forwarded-for": "192.0.2.1", "origin": self.url}
        return httpx.Client(base_url=f"http://127.0.0.1:{backend.port}", headers=headers, timeout=20)

    def websockets(self, backend: Sigma) -> float:
        """How many are open at a backend."""
        (open_,) = self._metric(backend, "sigma_websockets")
        return open_

    def wait_until_asked(self, backend: Sigma) -> None:
        """Return when nginx sends a backend that was away what people post: once `fail_timeout` is over."""
        deadline = time.monotonic() + _START_SECONDS
        while not sum(self._metric(backend, 'sigma_requests_total{[^}]*method="POST"[^}]*}')):
            assert time.monotonic() < deadline, "nginx passes the backend over."
            time.sleep(0.05)

    def _metric(self, backend: Sigma, name: str) -> list[float]:
        """The values of a metric, by a pattern of its name and labels."""
        said = httpx.get(f"http://127.0.0.1:{backend.port}/metrics", headers={"host": self.host}).raise_for_status()
        return [float(value) for value in re.findall(rf"^{name} (\S+)$", said.text, re.MULTILINE)]

    def holder(self) -> Sigma:
        """The backend that has websockets, where one alone does."""
        (one,) = [backend for backend in self.backends if self.websockets(backend)]
        return one

    def ask_auth(self, method: str, path: str, **json: object) -> dict:
        """A call of Supabase Auth as the administrator."""
        given = self.supabase.assignments
        key = given["SUPABASE_SERVICE_ROLE_KEY"]
        headers = {"apikey": key, "authorization": f"Bearer {key}"}
        answer = httpx.request(method, f"{given['VITE_SUPABASE_URL']}/auth/v1/{path}", headers=headers, json=json)
        return answer.raise_for_status().json()


@contextmanager
def fleet(scratch: Path) -> Iterator[Fleet]:
    """Start it; it is taken away at the end."""
    with ExitStack() as stack:
        port, its_port = free_port(), free_port()
        url = f"https://{HOST}:{port}"
        supabase = Supabase(
            scratch / "supabase",
            its_port,
            dict.fromkeys(_LIMITS, _WIDE) | {"GOTRUE_SITE_URL": url, "BASE_URL": f"http://127.0.0.1:{its_port}"},
        )
        stack.callback(supabase.remove)
        supabase.start()
        redis = RedisServer(scratch)
        stack.callback(redis.stop)
        redis_url = redis.start().url
        variables = {
            "SIGMA_ENV": "production",
            "SIGMA_ALLOW_LOCAL": "payments,mail",
            "BASE_URL": url,
            "TRUSTED_PROXIES": "1",
            "REFLEX_REDIS_URL": redis_url,
            "SIGMA_WORKER": "off",
            **dict.fromkeys(_LIMITS, _WIDE),
            **{name: supabase.assignments[name] for name in _OF_SUPABASE},
            "DATABASE_URL": with_password(supabase.assignments["DATABASE_URL"]),
        }
        backends = [Sigma(scratch / f"backend{number}", variables=dict(variables)) for number in (1, 2)]
        workers = [Worker(scratch / f"worker{number}", variables=dict(variables)) for number in (1, 2)]
        for one in (*backends, *workers):
            stack.callback(stop, one)
            one.launch()
        for backend in backends:
            backend.wait_until_serving()
        for worker in workers:
            worker.wait_until_serving()
        certificate = self_signed(scratch)
        plain = f"http://{HOST}:{free_port()}"
        stack.enter_context(nginx(scratch, port, plain, [backend.port for backend in backends]))
        yield Fleet(url, plain, certificate, backends, workers, supabase, redis_url, scratch)


def with_password(address: str) -> str:
    """The address with a password in it, as of a database elsewhere: what our processes share follows from it."""
    beginning, user, rest = re.split(r"(?<=//)([^@]*)(?=@)", address, maxsplit=1)
    return f"{beginning}{user.partition(':')[0]}:{secrets.token_hex(16)}{rest}"


def stop(one: Sigma) -> None:
    """End a process of ours, if it still runs."""
    if one.process and one.process.poll() is None:
        one.stop()


@contextmanager
def nginx(scratch: Path, port: int, plain: str, backends: list[int]) -> Iterator[None]:
    """nginx with the two files that the documentation names, at these ports; nothing else in them is changed."""
    site = (OPERATIONS / "nginx.conf").read_text()
    site = re.sub(r"listen \[::\]:\d+.*\n", "", site)  # there may be no IPv6 here
    site = site.replace("listen 80;", f"listen 127.0.0.1:{plain.rpartition(':')[2]};")
    site = site.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl").replace("sigma.example.com", HOST)
    site = site.replace("/etc/ssl/sigma/", f"{scratch}/").replace("/srv/sigma/files", str(lay_files(scratch)))
    site = site.replace("/var/log/nginx/", f"{scratch}/")
    behind = (OPERATIONS / "nginx-backends.conf").read_text()
    for number, backend in enumerate(backends, 1):
        behind = behind.replace(f"127.0.0.1:300{number}", f"127.0.0.1:{backend}")
    (scratch / "site.conf").write_text(site)
    (scratch / "backends.conf").write_text(behind)
    temporary = "".join(
        f"{kind}_temp_path {scratch}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # The `user` of the main file is Debian's: as root, nginx would give its workers to somebody who may not read here.
    own = "user root;" if os.geteuid() == 0 else ""
    (scratch / "nginx.conf").write_text(
        f"{own} daemon off; pid {scratch}/nginx.pid; error_log {scratch}/nginx.log; events {{}}\n"
        f"http {{ access_log {scratch}/main.log; {temporary} include backends.conf; include site.conf; }}\n"
    )
    command = [program("nginx"), "-e", str(scratch / "nginx.log"), "-c", str(scratch / "nginx.conf")]
    with running(command, scratch / "nginx.out", port):
        yield


def lay_files(scratch: Path) -> Path:
    """The files that nginx serves, as the documented command lays them."""
    files = scratch / "files"
    built = subprocess.run(
        [sys.executable, "-m", "sigma_app", "build", "--files", str(files)],
        cwd=PROJECT_ROOT,
        env=Sigma(scratch / "build").environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert built.returncode == 0, built.stderr
    return files


def self_signed(scratch: Path) -> Path:
    """A certificate for this machine, under the names that nginx.conf gives it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = scratch / "fullchain.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (scratch / "privkey.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@contextmanager
def running(command: list[str], log: Path, port: int) -> Iterator[subprocess.Popen]:
    """A program, once somebody listens at its port; ended at the end of the block."""
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(port):
            assert process.poll() is None, f"{command[0]} ended at its start:\n{log.read_text()}"
            assert time.monotonic() < deadline, f"{command[0]} does not listen:\n{log.read_text()}"
            time.sleep(0.02)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
