"""The same over TLS, as it is in life: a certificate that counts, one that does not, a slow body."""

import datetime as dt
import ipaddress
import json
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from github_hosts import serving
from github_server import Artifact, Fault, Run

pytestmark = pytest.mark.slow

Scan = Callable[..., Artifact]
Cli = Callable[..., subprocess.CompletedProcess[str]]
NAME = "owner/repo"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a PEM file with a key and a certificate for both hosts of the loopback."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.UTC)
    hosts = [x509.IPAddress(ipaddress.ip_address(f"127.0.0.{n}")) for n in (1, 2)]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "loopback.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def github(certificate: Path) -> Iterator[Any]:
    """Yield GitHub on the loopback, over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(context) as running:
        yield running


def poll(cli: Cli, github: Any, **env: str) -> dict[str, Any]:
    """Run `secdaemon poll`; the only repository's answer."""
    done = cli("poll", "--json", env={"GITHUB_TOKEN": github.token, **env})
    answer: dict[str, Any] = json.loads(done.stdout)["repositories"][0]
    return answer


def test_a_certificate_decides(scene: Any, scan: Scan, cli: Cli, certificate: Path) -> None:
    """One that nobody vouches for ends in words; with $REQUESTS_CA_BUNDLE all of it works."""
    scene.github.add(NAME, Run(1, artifacts=[scan(1)]))
    assert "certificate is not accepted" in poll(cli, scene.github)["problem"]
    found = poll(cli, scene.github, REQUESTS_CA_BUNDLE=str(certificate))
    assert found["problem"] is None
    assert [run.workflow_run_id for run in scene.runs()] == [1]


@pytest.mark.parametrize("how", ["hang", "drip", "drip_headers", "truncate"])
def test_slow_and_broken_answers_end(
    scene: Any, scan: Scan, cli: Cli, certificate: Path, how: str
) -> None:
    """Cutting off works under encryption as well."""
    text = scene.home.config_file.read_text(encoding="utf-8")
    text = text.replace("timeout_seconds: 5", "timeout_seconds: 1")
    scene.home.config_file.write_text(text, encoding="utf-8")
    scene.github.add(NAME, Run(1, artifacts=[scan(1)]))
    scene.github.fault = lambda _host, _path: Fault(how=how)
    problem = poll(cli, scene.github, REQUESTS_CA_BUNDLE=str(certificate))["problem"]
    assert "answer" in problem
    scene.github.fault = lambda _host, _path: None
    assert poll(cli, scene.github, REQUESTS_CA_BUNDLE=str(certificate))["ok"]
