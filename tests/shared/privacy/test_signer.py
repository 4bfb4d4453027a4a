"""Keys of a ledger: made once, readable by nobody else, or kept by a command of another user."""

import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.errors import Refused
from shared.privacy.head import head_message
from shared.privacy.ledger import KEY, Ledger
from shared.privacy.signer import CommandSigner, KeyFile, fits
from tests.ledgers import ROOT

MESSAGE = head_message("A", 1, "a" * 64, "")


def command(key: Path) -> CommandSigner:
    """The command a sudo rule would run, here as the same user."""
    run = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from shared.privacy.sign import main; sys.exit(main())"
    return CommandSigner([sys.executable, "-c", run, "--key", str(key)])


def says(text: str) -> CommandSigner:
    return CommandSigner([sys.executable, "-c", text])


def code(caught: pytest.ExceptionInfo[Refused]) -> str:
    return caught.value.code


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    first = KeyFile.make(tmp_path / KEY)
    assert stat.S_IMODE((tmp_path / KEY).stat().st_mode) == 0o600
    assert KeyFile.make(tmp_path / KEY).public_key == first.public_key == KeyFile(tmp_path / KEY).public_key
    assert [file.name for file in tmp_path.iterdir()] == [KEY]


def test_a_signature_fits_its_key_and_message_only(tmp_path: Path) -> None:
    one, other = KeyFile.make(tmp_path / "one"), KeyFile.make(tmp_path / "other")
    assert fits(one.public_key, one.sign(MESSAGE), MESSAGE)
    assert not fits(one.public_key, one.sign(MESSAGE), MESSAGE + b"1")
    assert not fits(other.public_key, one.sign(MESSAGE), MESSAGE)
    assert not fits(b"short", one.sign(MESSAGE), MESSAGE)


def test_of_many_that_make_a_key_at_once_all_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: KeyFile.make(tmp_path / KEY).public_key, range(64)))
    assert len(keys) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    KeyFile.make(tmp_path / KEY)
    (tmp_path / KEY).chmod(0o640)
    with pytest.raises(Refused, match="expected a key that only its owner may read, got mode 640; chmod 600") as caught:
        KeyFile(tmp_path / KEY)
    assert code(caught) == "LEDGER_FAILED"


def test_a_key_that_is_not_there_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="run mmfed as the user who owns it") as caught:
        KeyFile(tmp_path / KEY)
    assert code(caught) == "LEDGER_FAILED"
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (b"", b"no key", other):
        (tmp_path / KEY).write_bytes(content)
        (tmp_path / KEY).chmod(0o600)
        with pytest.raises(Refused, match="expected an Ed25519 key in PEM in .*; restore it from a backup") as caught:
            KeyFile(tmp_path / KEY)
        assert code(caught) == "LEDGER_BROKEN"


def test_a_command_signs_a_ledger_whose_folder_holds_no_key(tmp_path: Path) -> None:
    signer = command(tmp_path / "elsewhere.key")
    ledger = Ledger.open(tmp_path / "privacy", "A", signer=signer)
    entry = ledger.append("head", digest="d" * 64, run="1", round=1, parent="", seen={})
    assert entry.sig is not None
    own = KeyFile(tmp_path / "elsewhere.key")
    assert fits(own.public_key, entry.sig, head_message("A", 1, entry.hash, ""))
    assert ledger.public_key == signer.public_key == own.public_key
    assert not (tmp_path / "privacy" / KEY).exists()
    assert not ledger.verify().faults


def test_the_command_signs_nothing_but_heads_and_reports(tmp_path: Path) -> None:
    signer = command(tmp_path / "a.key")
    assert len(signer.public_key) == 32
    for message in (b"I owe you 100", MESSAGE + b"x" * 1000):
        with pytest.raises(
            Refused, match="exit status 1: expected a ledger head or a privacy report to sign, got something else"
        ) as caught:
            signer.sign(message)
        assert code(caught) == "LEDGER_FAILED"


def test_the_command_says_that_it_has_no_key(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"expected the key of the privacy ledger in .*absent\.key, got"):
        command(tmp_path / "absent.key").sign(MESSAGE)


@pytest.mark.parametrize(
    ("signer", "match"),
    [
        (CommandSigner(["/nowhere/mmfed-ledger-sign"]), "No such file"),
        (says("import sys; sys.exit('sudo: a password is required')"), "exit status 1: sudo: a password is required"),
        (says("print('ff')"), "2 bytes that are no key of 64 hex digits"),
        (says("print('no hex')"), "6 bytes that are no key of 64 hex digits"),
        (says(f"import sys; print('{'ab' * 32}') if sys.argv[1] == 'public-key' else print('s' * 63)"),
         "64 bytes that are no signature of its key"),
    ],
    ids=["absent", "forbidden", "short", "other", "wrong signature"],
)  # fmt: skip
def test_a_command_that_does_not_sign_writes_nothing(signer: CommandSigner, match: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=match) as caught:
        Ledger.open(tmp_path, "A", signer=signer).append("head", parent="")
    assert code(caught) == "LEDGER_FAILED"
