"""Make a coordinator's folder: certificate authority, server certificate, one kit a site.

coordinator/
  coordinator.toml   address and sites
  ca.crt ca.key      the federation's own authority (the key never leaves this folder)
  server.crt server.key
  superexec.secret
  keys/A.pub         what the SuperLink knows about a site
  kits/A/            what site A gets: ca.crt, site.key, site.pub, site.toml
"""

import ipaddress
import json
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from server.coordinator import FILE, Coordinator, read_coordinator
from shared.errors import BadInput

__all__ = ["provision"]

AUTHORITY_YEARS, SERVER_YEARS = 10, 2
ALWAYS = ("127.0.0.1", "localhost")


def provision(
    folder: Path, sites: Sequence[str], address: str, port: int | None = None, names: Sequence[str] = ()
) -> list[Path]:
    """Write what is missing in `folder` and return the new kits, one folder a site.

    A folder that was provisioned before keeps its authority, its certificate and every site's key; only sites that are
    new get a kit.

    Parameters
    ----------
    folder
        The coordinator's folder; made when missing.
    sites
        Site ids, each also the name under which the SuperLink will know it.
    address
        HOST:PORT under which the hospitals reach the SuperLink.
    port
        The port on which the SuperLink itself listens, on 127.0.0.1 only; by default that of `address`.
    names
        Further host names and IP addresses for the server certificate, beside 127.0.0.1, localhost and the host of
        `address`.

    Raises
    ------
    BadInput
        A malformed site id or address, or a folder that was provisioned for another address.
    """
    port = port or _port(address)
    coordinator = Coordinator.checked(address, port, sites)
    if (folder / FILE).exists():
        before = read_coordinator(folder)
        if (before.address, before.port) != (address, port):
            raise BadInput(
                f"{folder / FILE}: expected address {before.address} and port {before.port} of the first `provision`, "
                f"got {address} and {port}; repeat those, or use another folder"
            )
        coordinator = Coordinator.checked(address, port, [*before.sites, *sites])
    folder.mkdir(parents=True, exist_ok=True)
    _authority(folder)
    _server(folder, [*ALWAYS, coordinator.host, *names])
    if not (folder / "superexec.secret").exists():
        _write_private(folder / "superexec.secret", secrets.token_hex(32).encode())
    kits = [_kit(folder, site, address) for site in coordinator.sites if not (folder / "keys" / f"{site}.pub").exists()]
    lines = {"schema": 1, "address": address, "port": port, "sites": list(coordinator.sites)}
    (folder / FILE).write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in lines.items()), encoding="utf-8")
    return kits


def _authority(folder: Path) -> None:
    if (folder / "ca.crt").exists():
        return
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mmfed federation authority")])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _certificate(name, name, key.public_key(), AUTHORITY_YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA384())
    )
    _write_private(folder / "ca.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "ca.crt").write_bytes(certificate.public_bytes(Encoding.PEM))


def _server(folder: Path, names: Iterable[str]) -> None:
    if (folder / "server.crt").exists():
        return
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    authority_key = _load_key(folder / "ca.key")
    key = ec.generate_private_key(ec.SECP384R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mmfed SuperLink")])
    certificate = (
        _certificate(subject, authority.subject, key.public_key(), SERVER_YEARS)
        .add_extension(x509.SubjectAlternativeName([_general_name(n) for n in dict.fromkeys(names)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA384())
    )
    _write_private(folder / "server.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "server.crt").write_bytes(certificate.public_bytes(Encoding.PEM))


def _kit(folder: Path, site: str, address: str) -> Path:
    kit = folder / "kits" / site
    kit.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP384R1())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + f" mmfed-{site}\n".encode()
    _write_private(kit / "site.key", key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    (kit / "site.pub").write_bytes(public)
    (kit / "ca.crt").write_bytes((folder / "ca.crt").read_bytes())
    template = Path(__file__).with_name("site.toml.in").read_text(encoding="utf-8")
    (kit / "site.toml").write_text(template.replace("@SITE@", site).replace("@ADDRESS@", address), encoding="utf-8")
    (folder / "keys").mkdir(exist_ok=True)
    (folder / "keys" / f"{site}.pub").write_bytes(public)
    return kit


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, years: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # a site's clock may be behind
        .not_valid_after(now + timedelta(days=365 * years))
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadInput(f"{path}: expected an elliptic-curve key, got {type(key).__name__}; provision into a new folder")
    return key


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)


def _port(address: str) -> int:
    port = address.rpartition(":")[2]
    if not port.isdigit():
        raise BadInput(f"expected an address HOST:PORT, got {address!r}; write e.g. fl.example.org:8443")
    return int(port)
