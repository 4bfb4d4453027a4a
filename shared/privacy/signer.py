"""Who signs a ledger: a key file of the site's own, or a command that belongs to another user of the machine."""

import subprocess
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from shared.errors import Refused
from shared.privacy.new_file import make_once

__all__ = ["CommandSigner", "KeyFile", "Signer", "fits"]

KEY_BYTES, SIGNATURE_BYTES = 32, 64
SECONDS = 30.0
OTHERS = 0o077  # mode bits of everybody but the owner


class Signer(Protocol):
    """Signs with Ed25519 (RFC 8032). Refused, LEDGER_FAILED, when it cannot."""

    @property
    def public_key(self) -> bytes:
        """32 bytes."""

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""


class KeyFile:
    """A private key in a PEM file of mode 600."""

    def __init__(self, file: Path) -> None:
        """Read the key.

        Raises
        ------
        Refused
            LEDGER_FAILED: it cannot be read, or others than its owner may read it; LEDGER_BROKEN: it is no such key.
        """
        try:
            mode, content = file.stat().st_mode, file.read_bytes()
        except OSError as exc:
            raise Refused(
                "LEDGER_FAILED",
                f"expected the key of the privacy ledger in {file}, got: {exc}; run mmfed as the user who owns it",
            ) from exc
        if mode & OTHERS:
            raise Refused(
                "LEDGER_FAILED",
                f"expected a key that only its owner may read, got mode {mode & 0o777:o}; chmod 600 {file}",
            )
        try:
            key = load_pem_private_key(content, password=None)
        except (ValueError, TypeError) as exc:
            raise _no_key(file) from exc
        if not isinstance(key, Ed25519PrivateKey):
            raise _no_key(file)
        self._key = key

    @classmethod
    def make(cls, file: Path, *, durable: bool = True) -> "KeyFile":
        """The key in `file`, made when there is none; OSError when the folder cannot be written."""
        if not file.exists():
            key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            make_once(file, lambda new: _write(new, key), durable=durable)
        return cls(file)

    @property
    def public_key(self) -> bytes:
        """32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)


class CommandSigner:
    """A command that signs in the name of another user, so that whoever trains cannot read the key.

    `argv + ["public-key"]` prints the key as hex; `argv + ["sign"]` reads a message and writes the 64 bytes of its
    signature. `python -m shared.privacy.sign --key FILE` is such a command. A ledger keeps its key for life: to change
    to this layout, move the key file to the other user.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        self.argv = tuple(argv)

    @cached_property
    def public_key(self) -> bytes:
        """32 bytes."""
        told = self._run("public-key", b"").strip()
        try:
            key = bytes.fromhex(told.decode("ascii"))
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise self._failed("public-key", f"{len(told)} bytes that are no key of {2 * KEY_BYTES} hex digits")
        return key

    def sign(self, message: bytes) -> bytes:
        """64 bytes, found to fit the key."""
        signature = self._run("sign", message)
        if not fits(self.public_key, signature, message):
            raise self._failed("sign", f"{len(signature)} bytes that are no signature of its key")
        return signature

    def _run(self, verb: str, message: bytes) -> bytes:
        try:
            done = subprocess.run([*self.argv, verb], input=message, capture_output=True, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise self._failed(verb, str(exc)) from exc
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()[-500:]
            raise self._failed(verb, f"exit status {done.returncode}: {said}")
        return done.stdout

    def _failed(self, verb: str, got: str) -> Refused:
        return Refused(
            "LEDGER_FAILED",
            f"expected `{' '.join((*self.argv, verb))}` to sign the privacy ledger, got {got}; run it by hand as the "
            "user who runs mmfed, and see `signer` under [privacy] of the site file",
        )


def fits(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` was made over `message` by the owner of the public `key`."""
    try:
        _public(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=64)
def _public(key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(key)


def _write(new: Path, content: bytes) -> None:
    new.write_bytes(content)


def _no_key(file: Path) -> Refused:
    return Refused(
        "LEDGER_BROKEN", f"expected an Ed25519 key in PEM in {file}, got something else; restore it from a backup"
    )
