"""Taking part: everything that can be wrong is said in one sentence, before Flower starts."""

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from client import supernode
from client.supernode import GATE, GATED, command, gated_environment, reach, take_part
from server.provision import provision
from shared.errors import LinkError, SiteFileError, WorkFailed
from shared.site import Site, read_site


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coordinator")
    provision(folder, ["A"], "127.0.0.1:8443")
    return folder


@pytest.fixture
def kit(coordinator: Path, tmp_path: Path) -> Path:
    """The kit of site A at the hospital."""
    shutil.copytree(coordinator / "kits" / "A", tmp_path / "kit")
    (tmp_path / "kit" / "data").mkdir()
    return tmp_path / "kit"


def site_at(kit: Path, port: int) -> Site:
    text = (kit / "site.toml").read_text().replace("127.0.0.1:8443", f"127.0.0.1:{port}")
    (kit / "site.toml").write_text(text)
    return read_site(kit / "site.toml")


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def tls_port(coordinator: Path) -> Iterator[int]:
    """A server that shows the coordinator's certificate and closes."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(coordinator / "server.crt", coordinator / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            try:
                connection, _ = listener.accept()
                with context.wrap_socket(connection, server_side=True):
                    pass
            except OSError:  # the client hung up: it did not trust the certificate
                return

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join()


def test_the_superlink_of_the_kit_is_reached(kit: Path, tls_port: int) -> None:
    reach(f"127.0.0.1:{tls_port}", kit / "ca.crt")


def test_another_authority_is_not_trusted(tmp_path: Path, tls_port: int) -> None:
    provision(tmp_path / "other", ["A"], "127.0.0.1:8443")
    with pytest.raises(
        LinkError, match=r"that ca\.crt vouches for, got: .*VERIFY_FAILED.*check that root_certificates"
    ):
        reach(f"127.0.0.1:{tls_port}", tmp_path / "other" / "ca.crt")


def test_a_superlink_that_is_not_there_is_said_within_seconds(kit: Path, closed_port: int) -> None:
    started = time.monotonic()
    with pytest.raises(
        LinkError, match=rf"expected a SuperLink at 127.0.0.1:{closed_port}, got: Connection refused; check"
    ):
        take_part(site_at(kit, closed_port), kit / "site.toml")
    assert time.monotonic() - started < 5


def test_a_site_file_without_superlink_cannot_take_part(site: Site, tmp_path: Path) -> None:
    with pytest.raises(SiteFileError, match=r"superlink: expected a \[superlink\] section, got none"):
        take_part(site, tmp_path / "A" / "site.toml")


def test_missing_files_are_all_named(kit: Path, closed_port: int) -> None:
    (kit / "ca.crt").unlink()
    (kit / "site.key").unlink()
    with pytest.raises(SiteFileError, match=r"(?s)superlink.root_certificates: expected a file.*superlink.private_key"):
        take_part(site_at(kit, closed_port), kit / "site.toml")


def test_a_key_that_others_can_read_is_refused(kit: Path, closed_port: int) -> None:
    (kit / "site.key").chmod(0o644)
    with pytest.raises(SiteFileError, match=r"only its owner can read, got .*run: chmod 600"):
        take_part(site_at(kit, closed_port), kit / "site.toml")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"not a key", "expected an OpenSSH key without passphrase"),
        (b"", "expected an OpenSSH key without passphrase"),
    ],
)
def test_a_malformed_key_is_refused(kit: Path, closed_port: int, content: bytes, match: str) -> None:
    (kit / "site.key").write_bytes(content)
    with pytest.raises(SiteFileError, match=match):
        take_part(site_at(kit, closed_port), kit / "site.toml")


def test_another_kind_of_key_is_refused(kit: Path, closed_port: int) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    (kit / "site.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    with pytest.raises(SiteFileError, match="expected a P-384 key, got Ed25519PrivateKey"):
        take_part(site_at(kit, closed_port), kit / "site.toml")


def test_the_gate_comes_first_on_path(site: Site) -> None:
    env = gated_environment(site)
    for name in GATED:
        found = shutil.which(name, path=env["PATH"])
        assert found is not None
        assert Path(found).parent == GATE
    assert env["MMFED_PYTHON"] == sys.executable
    assert env["FLWR_HOME"].startswith(str(site.state.resolve()))
    assert {env[key] for key in ("FLWR_TELEMETRY_ENABLED", "RAY_USAGE_STATS_ENABLED")} == {"0"}
    assert env["FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION"] == "1"


def test_a_gate_that_is_not_executable_stops_the_site(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bin"
    shutil.copytree(GATE, broken)
    (broken / "flwr-clientapp").chmod(0o644)
    monkeypatch.setattr(supernode, "GATE", broken)
    with pytest.raises(
        WorkFailed, match=r"flwr-clientapp to be executable and first on PATH, got .*install mmfed again"
    ):
        gated_environment(site)


@pytest.mark.parametrize(("device", "shown"), [("cpu", ""), ("cuda:1", "0,1"), ("auto", "0,1")])
def test_only_cpu_sites_hide_the_accelerators(
    make_site: Callable[[str], Site], monkeypatch: pytest.MonkeyPatch, device: str, shown: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert gated_environment(make_site(f'[compute]\ndevice = "{device}"\n'))["CUDA_VISIBLE_DEVICES"] == shown


def test_the_command_serves_this_machine_only_and_names_site_and_file(kit: Path, closed_port: int) -> None:
    import tomllib

    site = site_at(kit, closed_port)
    assert site.superlink is not None
    args = command(site, kit / "site.toml", site.superlink, port=19094)

    assert Path(args[0]).name == "flower-supernode"
    options = dict(zip(args[1::2], args[2::2], strict=True))
    assert options["--host"] == "127.0.0.1"
    assert options["--superlink"] == f"127.0.0.1:{closed_port}"
    assert options["--auth-supernode-private-key"] == str(kit / "site.key")
    node = tomllib.loads(Path(options["--node-config"]).read_text())
    assert node == {"site": "A", "site-file": str(kit / "site.toml")}


@pytest.mark.slow
def test_flower_reads_the_node_config(kit: Path, closed_port: int) -> None:
    from flwr.common.config import parse_config_args

    site = site_at(kit, closed_port)
    assert site.superlink is not None
    args = command(site, kit / "site.toml", site.superlink, port=19094)
    node = parse_config_args([args[args.index("--node-config") + 1]])
    assert node == {"site": "A", "site-file": str(kit / "site.toml")}


def test_the_command_line_ends_with_exit_code_1(kit: Path, closed_port: int) -> None:
    site_at(kit, closed_port)
    main = "from client.cli import main; main()"
    line = [sys.executable, "-c", main, "--site", "A", "--config", str(kit / "site.toml")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: expected a SuperLink at 127.0.0.1:{closed_port}")
    assert done.stderr.count("\n") == 1
