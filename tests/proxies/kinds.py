"""Real proxies from the distribution, started with the configurations of docs/proxies.md.

The configurations are adapted to this machine first.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DOCS = Path(__file__).parents[2] / "docs" / "proxies.md"
NAME = "chat.example.org"
START_S = 20

Edit = Callable[[str], str]


NEXT_FILE = "\n# ---- the next file ----\n"


SEVERAL = "\n## Several servers\n"


def documented(language: str) -> str:
    """Return the code in that language from docs/proxies.md, with all its files."""
    return NEXT_FILE.join(_code_in(DOCS.read_text().partition(SEVERAL)[0], language))


def documented_for_several(language: str) -> str:
    """Return the part in that language for several servers."""
    (found,) = _code_in(DOCS.read_text().partition(SEVERAL)[2], language)
    return found


def _code_in(text: str, language: str) -> list[str]:
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found
    return found


class Behind(Protocol):
    """A running server."""

    @property
    def port(self) -> int:
        """The port of the server itself, not of the proxy."""


@dataclass
class Certificate:
    """Files of the proxy's certificate, which the test's clients trust."""

    chain: Path
    key: Path
    both: Path


def make_certificate(folder: Path) -> Certificate:
    """Make a certificate for ``localhost`` in ``folder``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    chain = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    made = Certificate(folder / "localhost.crt", folder / "localhost.key", folder / "localhost.pem")
    made.chain.write_bytes(chain)
    made.key.write_bytes(secret)
    made.both.write_bytes(chain + secret)
    return made


class Proxy:
    """One kind of proxy: adapts its documented configuration to this machine, and starts it."""

    language: str
    program: str
    file = "config"

    def __init__(self, folder: Path, behind: Behind, certificate: Certificate) -> None:
        self.folder = folder
        self.behind = behind
        self.certificate = certificate
        self.authority = certificate.chain
        self.port = free_port()
        self.other_port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def start(self, edit: Edit) -> None:
        """Start it with the documented configuration after ``edit``."""
        right = documented(self.language)
        text = edit(right)
        config = self.folder / self.file
        config.write_text(self.at_home(text))
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                self.command(config),
                cwd=self.folder,
                env={**os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)},
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + START_S
        while not self.is_up():
            log_text = (self.folder / "log").read_text()
            assert self.process.poll() is None, log_text
            assert time.monotonic() < until, log_text
            time.sleep(0.02)

    def is_up(self) -> bool:
        """Whether it accepts TLS: some proxies listen before they have a certificate."""
        if not self.authority.exists():
            return False
        context = ssl.create_default_context(cafile=self.authority)
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), 1) as wire,
                context.wrap_socket(wire, server_hostname="localhost"),
            ):
                return True
        except OSError:
            return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()  # it has no state to save, and some wait for open connections
            self.process.wait()

    def at_home(self, text: str) -> str:
        raise NotImplementedError

    def command(self, config: Path) -> list[str]:
        raise NotImplementedError

    def _common(self, text: str) -> str:
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{self.behind.port}")
        text = text.replace(f"/etc/ssl/{NAME}.crt", str(self.certificate.chain))
        text = text.replace(f"/etc/ssl/{NAME}.key", str(self.certificate.key))
        return text.replace(f"/etc/ssl/{NAME}.pem", str(self.certificate.both))


class Nginx(Proxy):
    language = "nginx"
    program = "nginx"

    def at_home(self, text: str) -> str:
        text = self._common(text).replace(NAME, "localhost")
        text = text.replace("listen 80;", f"listen 127.0.0.1:{self.other_port};")
        text = text.replace("listen 443 ", f"listen 127.0.0.1:{self.port} ")
        paths = "".join(
            f"{what}_temp_path {self.folder}/{what};\n"
            for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # the part of /etc/nginx/nginx.conf around conf.d/*.conf
        return (
            f"daemon off;\nmaster_process off;\npid {self.folder}/pid;\nerror_log stderr;\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{paths}{text}}}\n"
        )

    def command(self, config: Path) -> list[str]:
        return [found(self.program), "-p", str(self.folder), "-c", str(config)]


class Caddy(Proxy):
    language = "caddyfile"
    program = "caddy"

    def __init__(self, folder: Path, behind: Behind, certificate: Certificate) -> None:
        super().__init__(folder, behind, certificate)
        # Caddy makes the certificate by itself, signed by its own authority, for a local name
        self.authority = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def at_home(self, text: str) -> str:
        text = self._common(text).replace(NAME, f"https://localhost:{self.port}")
        options = "admin off\nskip_install_trust\nauto_https disable_redirects\n"
        return f"{{\n{options}default_bind 127.0.0.1\n}}\n{text}"

    def command(self, config: Path) -> list[str]:
        return [found(self.program), "run", "--config", str(config), "--adapter", "caddyfile"]


class HAProxy(Proxy):
    language = "haproxy"
    program = "haproxy"

    def at_home(self, text: str) -> str:
        text = self._common(text)
        text = text.replace("bind :80", f"bind 127.0.0.1:{self.other_port}")
        return text.replace("bind :443 ", f"bind 127.0.0.1:{self.port} ")

    def command(self, config: Path) -> list[str]:
        return [found(self.program), "-db", "-f", str(config)]


class Traefik(Proxy):
    language = "yaml"
    program = "traefik"
    file = "traefik.yml"

    def at_home(self, text: str) -> str:
        text = self._common(text).replace(NAME, "localhost")
        text = text.replace('":80"', f"127.0.0.1:{self.other_port}")
        text = text.replace('":443"', f"127.0.0.1:{self.port}")
        more = self.folder / "wireside.yml"
        static, dynamic = text.replace("/etc/traefik/wireside.yml", str(more)).split(NEXT_FILE)
        more.write_text(dynamic)
        return static

    def command(self, config: Path) -> list[str]:
        return [found(self.program), f"--configfile={config}"]


KINDS: dict[str, type[Proxy]] = {
    "nginx": Nginx,
    "Caddy": Caddy,
    "HAProxy": HAProxy,
    "Traefik": Traefik,
}


def found(program: str) -> str:
    elsewhere = f"{Path(sys.executable).parent}:/usr/sbin:/usr/local/sbin"
    path = shutil.which(program) or shutil.which(program, path=elsewhere)
    if path is None:
        pytest.skip(f"{program} is not installed (apt-get install nginx-light caddy haproxy)")
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
