"""Certificates and kits: valid, private where they must be, and kept when sites are added."""

import ipaddress
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from server.coordinator import read_coordinator
from server.provision import provision
from shared.errors import BadInput
from shared.site import read_site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coordinator")
    provision(folder, ["A", "B"], "fl.example.org:8443", port=18443, names=["10.1.2.3"])
    return folder


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_server_certificate_is_signed_by_the_authority_and_names_every_host(folder: Path) -> None:
    authority, server = certificate(folder / "ca.crt"), certificate(folder / "server.crt")
    server.verify_directly_issued_by(authority)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "fl.example.org"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("127.0.0.1"),
        ipaddress.ip_address("10.1.2.3"),
    ]


def test_only_the_authority_may_sign_and_only_for_its_time(folder: Path) -> None:
    authority, server = certificate(folder / "ca.crt"), certificate(folder / "server.crt")
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    now = datetime.now(UTC)
    assert server.not_valid_before_utc < now < server.not_valid_after_utc < authority.not_valid_after_utc
    assert server.not_valid_after_utc - now < timedelta(days=731)


@pytest.mark.parametrize("name", ["ca.key", "server.key", "superexec.secret", "kits/A/site.key"])
def test_secrets_are_for_their_owner_only(folder: Path, name: str) -> None:
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_a_kit_is_a_key_pair_an_authority_and_a_site_file(folder: Path) -> None:
    kit = folder / "kits" / "A"
    assert sorted(file.name for file in kit.iterdir()) == ["ca.crt", "site.key", "site.pub", "site.toml"]
    private = load_ssh_private_key((kit / "site.key").read_bytes(), password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert private.curve.name == "secp384r1"
    public = load_ssh_public_key((kit / "site.pub").read_bytes())
    assert private.public_key() == public
    assert (folder / "keys" / "A.pub").read_bytes() == (kit / "site.pub").read_bytes()


def test_the_site_file_of_a_kit_can_be_read_as_it_is(folder: Path) -> None:
    kit = folder / "kits" / "B"
    (kit / "data").mkdir()
    site = read_site(kit / "site.toml")
    assert site.id == "B"
    assert site.superlink is not None
    assert site.superlink.address == "fl.example.org:8443"
    assert site.path(site.superlink.private_key) == kit / "site.key"
    assert "epsilon_cap" not in site.privacy.model_fields_set


def test_adding_a_site_keeps_everything_else(tmp_path: Path) -> None:
    assert [kit.name for kit in provision(tmp_path, ["A"], "127.0.0.1:8443")] == ["A"]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert [kit.name for kit in provision(tmp_path, ["A", "C"], "127.0.0.1:8443")] == ["C"]

    assert read_coordinator(tmp_path).sites == ("A", "C")
    changed = {path.name for path, content in before.items() if path.read_bytes() != content}
    assert changed == {"coordinator.toml"}


def test_two_federations_share_nothing(folder: Path, tmp_path: Path) -> None:
    provision(tmp_path, ["A"], "127.0.0.1:8443")
    for name in ("ca.key", "server.key", "superexec.secret", "kits/A/site.key"):
        assert (tmp_path / name).read_bytes() != (folder / name).read_bytes()


@pytest.mark.parametrize(
    ("sites", "address", "match"),
    [
        (["A/B"], "127.0.0.1:8443", r"sites.0: expected .*pattern.* got \"A/B\""),
        (["A", ""], "127.0.0.1:8443", "sites.1"),
        (["A"], "127.0.0.1", "expected an address HOST:PORT, got '127.0.0.1'"),
        (["A"], "https://fl.example.org:8443", "address: expected"),
        (["A"], "127.0.0.1:99999", "port: expected"),
    ],
)
def test_malformed_sites_and_addresses_are_refused(tmp_path: Path, sites: list[str], address: str, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        provision(tmp_path / "new", sites, address)
    assert not (tmp_path / "new").exists()


def test_another_address_needs_another_folder(tmp_path: Path) -> None:
    provision(tmp_path, ["A"], "127.0.0.1:8443")
    with pytest.raises(BadInput, match=r"expected address 127.0.0.1:8443 and port 8443 of the first `provision`, got"):
        provision(tmp_path, ["B"], "127.0.0.1:9000")


def test_a_folder_that_was_not_provisioned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="run `mmfed-server provision` first"):
        read_coordinator(tmp_path)
