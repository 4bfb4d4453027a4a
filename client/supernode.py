"""Take part: check what can be checked in seconds, then become Flower's SuperNode with the gate first on its PATH."""

import json
import os
import shutil
import socket
import ssl
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from shared.errors import LinkError, SiteFileError, WorkFailed
from shared.flower import environment, program
from shared.site import Site, Superlink

__all__ = ["GATE", "command", "gated_environment", "reach", "take_part"]

GATE = Path(__file__).parent / "bin"
"""Our own executables of the names that Flower looks up on PATH."""

GATED = ("flwr-clientapp", "flwr-agentapp", "flwr-model", "flwr-connector", "flwr-serverapp", "flwr-simulation")
ANSWER_S = 10.0


def take_part(site: Site, site_file: Path) -> None:
    """Replace this process by the site's SuperNode. Does not return.

    Raises
    ------
    SiteFileError
        No [superlink] section, or a certificate or key that is missing or malformed.
    LinkError
        The SuperLink does not answer, or is not the one the certificate is for.
    WorkFailed
        The gate, or Flower itself, is not installed as it must be.
    """
    link = _link(site)
    reach(link.address, site.path(link.root_certificates))
    env = gated_environment(site)
    args = command(site, site_file, link, port=_free_port())
    os.execve(args[0], args, env)  # noqa: S606  (no shell is wanted)


def command(site: Site, site_file: Path, link: Superlink, port: int) -> list[str]:
    """The SuperNode's command line. Its Runtime API serves this machine only, at `port`."""
    node = site.state / "flower" / "node.toml"
    node.parent.mkdir(parents=True, exist_ok=True)
    lines = {"site": site.id, "site-file": str(site_file.resolve())}
    node.write_text("".join(f"{k} = {json.dumps(v, ensure_ascii=False)}\n" for k, v in lines.items()), encoding="utf-8")
    return [
        *(program("flower-supernode"), "--superlink", link.address),
        *("--root-certificates", str(site.path(link.root_certificates))),
        *("--auth-supernode-private-key", str(site.path(link.private_key))),
        *("--node-config", str(node), "--host", "127.0.0.1", "--port", str(port)),
    ]


def gated_environment(site: Site) -> dict[str, str]:
    """The SuperNode's environment; WorkFailed when a Flower program would be found before the gate's.

    `compute.device = "cpu"` hides the accelerators; any other value leaves CUDA_VISIBLE_DEVICES as it is.
    """
    env = environment(site.state / "flower" / "home", GATE, MMFED_PYTHON=sys.executable)
    for name in GATED:
        found = shutil.which(name, path=env["PATH"])
        if found is None or Path(found).parent != GATE:
            raise WorkFailed(
                f"expected {GATE / name} to be executable and first on PATH, got {found}; install mmfed again"
            )
    device = site.compute.device
    if device == "cpu":
        env["CUDA_VISIBLE_DEVICES"] = ""
    return env


def reach(address: str, root_certificates: Path) -> None:
    """Open and close one TLS connection to the SuperLink; LinkError when there is none within 10 s."""
    host, port = address.rsplit(":", 1)
    advice = (
        "check superlink.address in the site file, the network, and that the coordinator has started `mmfed-server up`"
    )
    try:
        context = ssl.create_default_context(cafile=str(root_certificates))
        with (
            socket.create_connection((host, int(port)), timeout=ANSWER_S) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            pass
    except ssl.SSLError as exc:
        raise LinkError(
            f"expected a SuperLink at {address} that {root_certificates.name} vouches for, got: {exc.reason or exc}; "
            "check that root_certificates is the coordinator's ca.crt and that superlink.address is one of its names"
        ) from exc
    except OSError as exc:
        raise LinkError(f"expected a SuperLink at {address}, got: {exc.strerror or exc}; {advice}") from exc


def _link(site: Site) -> Superlink:
    """The [superlink] section, its files there and readable; SiteFileError lists every fault."""
    link = site.superlink
    if link is None:
        raise SiteFileError(
            "superlink: expected a [superlink] section, got none; copy it from the site.toml of the coordinator's kit"
        )
    faults = []
    for key in ("root_certificates", "private_key"):
        path = site.path(getattr(link, key))
        if not path.is_file():
            faults.append(f"superlink.{key}: expected a file, got nothing at {path}; copy it from the kit")
    if not faults:
        faults += _key_faults(site.path(link.private_key))
    if faults:
        raise SiteFileError("\n".join(faults))
    return link


def _key_faults(path: Path) -> list[str]:
    try:
        key = load_ssh_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as exc:
        return [
            f"superlink.private_key: expected an OpenSSH key without passphrase, got {exc}; copy {path} from the kit"
        ]
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return [f"superlink.private_key: expected a P-384 key, got {type(key).__name__}; copy {path} from the kit"]
    if path.stat().st_mode & 0o077:
        return [
            f"superlink.private_key: expected a file that only its owner can read, got {path}; run: chmod 600 {path}"
        ]
    return []


def _free_port() -> int:
    """A port of this machine that nobody listens on, so that several sites can share a host."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
