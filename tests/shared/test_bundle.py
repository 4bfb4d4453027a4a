"""The pinned bundle is what Flower packs from deploy/job, and nothing else has its digest."""

import io
import zipfile
from pathlib import Path

import pytest

from shared.bundle import BUNDLE, bundle_digest, check_bundle
from shared.errors import Refused

JOB = Path(__file__).parents[2] / "deploy" / "job"


def pack(folder: Path) -> bytes:
    """The bundle as `flwr run` would send it."""
    from flwr.cli.build import build_fab_from_disk

    return build_fab_from_disk(folder)


def archive(*files: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as target:
        for name, content in files:
            target.writestr(zipfile.ZipInfo(name), content, compress_type=compression)
    return buffer.getvalue()


def test_the_pin_is_the_digest_of_the_job_that_ships() -> None:
    assert bundle_digest(pack(JOB)) == BUNDLE
    check_bundle(pack(JOB))


def test_the_bundle_holds_configuration_only() -> None:
    with zipfile.ZipFile(io.BytesIO(pack(JOB))) as bundle:
        assert bundle.namelist() == ["pyproject.toml", ".info/CONTENT"]
        text = bundle.read("pyproject.toml").decode()
    assert "dependencies = []" in text
    assert "build-system" not in text
    assert 'clientapp = "client.app:app"' in text


def test_another_compression_is_the_same_bundle() -> None:
    with zipfile.ZipFile(io.BytesIO(pack(JOB))) as bundle:
        files = [(name, bundle.read(name)) for name in bundle.namelist()]
    again = archive(*files)
    assert again != pack(JOB)
    check_bundle(again)


@pytest.mark.parametrize(
    ("bundle", "got"),
    [
        (b"", "no plain ZIP archive"),
        (b"PK\x03\x04 nothing", "no plain ZIP archive"),
        (archive(("pyproject.toml", b"")), "content [0-9a-f]{64}"),
        (archive(("a", b"x" * 65537)), "more than 64 KiB"),
    ],
)
def test_any_other_bundle_is_refused(bundle: bytes, got: str) -> None:
    with pytest.raises(Refused, match=rf"expected the bundle that mmfed ships, content {BUNDLE}, got {got}") as caught:
        check_bundle(bundle)
    assert caught.value.code == "BUNDLE_REFUSED"


def test_a_file_more_is_another_bundle() -> None:
    buffer = io.BytesIO(pack(JOB))
    with zipfile.ZipFile(buffer, "a") as bundle:
        bundle.writestr("client/app.py", "import os")
    with pytest.raises(Refused, match="got content"):
        check_bundle(buffer.getvalue())


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_refused() -> None:
    with pytest.raises(Refused, match="got a name that comes twice"):
        bundle_digest(archive(("a", b"1"), ("a", b"2")))


def test_a_damaged_stream_is_refused() -> None:
    whole = bytearray(archive(("a", b"abc" * 100), compression=zipfile.ZIP_DEFLATED))
    whole[32:36] = b"\xff\xff\xff\xff"
    with pytest.raises(Refused, match="no plain ZIP archive"):
        bundle_digest(bytes(whole))
