"""A site's privacy ledger: what was approved, charged, refused and sent, over all runs, chained and signed.

One a site, in a folder of its own with its key. It is on disk or it does not exist: Flower starts a new process for
every message. Entries are only ever appended; whoever opens a ledger checks every one of them first.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from sqlite3 import Connection
from typing import Any, TypeVar

from shared.errors import Refused
from shared.privacy.chain import Chain, Entry, Verification
from shared.privacy.head import Head
from shared.privacy.ledger_file import RESTORE, connected, create, guarded, transaction, translated
from shared.privacy.signer import KeyFile, Signer
from shared.privacy.tally import Tally
from shared.privacy.verified import Verified, rows, verified
from shared.privacy.writer import Writer

__all__ = ["FILE", "KEY", "Entry", "Ledger", "Verification", "Writer"]

FILE, KEY = "ledger.sqlite", "ledger.key"
UNGUARDED = "the triggers that forbid any change of an entry are not as they were made"

Answer = TypeVar("Answer")


class Ledger:
    """An open ledger. It holds no connection: threads may share it, and a forked process may go on with it.

    Every operation first verifies what has been added since the last one. All raise Refused: LEDGER_BROKEN when the
    chain does not hold, LEDGER_FAILED when the file cannot be read or written.
    """

    def __init__(self, file: Path, site: str, signer: Signer, *, durable: bool = True) -> None:
        self.file, self._site, self._signer, self._durable = file, site, signer, durable

    @classmethod
    def open(cls, folder: Path, site: str, *, signer: Signer | None = None, durable: bool = True) -> "Ledger":
        """The ledger of `site` in `folder`, made when there is none, verified.

        Parameters
        ----------
        signer
            Keeper of the key; default a key file in `folder`, made with the ledger.
        durable
            What was committed outlives a power failure. False is for simulations alone.

        Raises
        ------
        Refused
            LEDGER_BROKEN: the chain does not hold, or one of ledger and key is gone. LEDGER_FAILED: the file cannot
            be opened or made, a newer version has made it, or another process has been writing for 30 s.
        """
        file, key = folder / FILE, folder / KEY
        with translated(file):
            folder.mkdir(parents=True, exist_ok=True)
            if signer is None and key.exists() and not file.exists():
                raise Refused(
                    "LEDGER_BROKEN",
                    f"expected the privacy ledger beside its key {key}, got none: what was spent is not known; restore "
                    "the newest backup of both, or remove the key too and tell the coordinator that the ledger is new",
                )
            create(file, durable=durable)
        ledger = cls(file, site, signer or _own_key(file, key, durable), durable=durable)
        with ledger._reading():
            return ledger

    @property
    def site(self) -> str:
        """Whose ledger it is."""
        return self._site

    @property
    def public_key(self) -> bytes:
        """32 bytes."""
        return self._signer.public_key

    def entries(self, *kinds: str, after: int = 0) -> list[Entry]:
        """Entries of `kinds` (none = all) with `seq > after`, oldest first."""
        with self._reading() as (connection, known):
            return known.entries(connection, kinds, after)

    def last(self, *kinds: str) -> Entry | None:
        """The newest entry of `kinds` (none = any)."""
        with self._reading() as (connection, known):
            return known.last(connection, kinds)

    def at(self, seq: int) -> Entry | None:
        """Entry number `seq`."""
        with self._reading() as (connection, known):
            return known.at(connection, seq)

    def ask(self, question: Callable[[Tally], Answer]) -> Answer:
        """What `question` finds in the sums over all entries."""
        with self._reading() as (_, known):
            return question(known.tally)

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """One durable transaction, rolled back on any exception. Use nothing but its Writer until it ends.

        Raises
        ------
        Refused
            LEDGER_FAILED: it could not be written or committed; nothing of it stands.
        """
        known = self._known()
        with self._connected() as connection, transaction(connection, self.file, write=True):
            with known.lock:
                known.catch_up(connection)
                writer = Writer(connection, known, self._signer)
            yield writer

    def append(self, kind: str, /, **body: Any) -> Entry:
        """One entry in a transaction of its own; see Writer.append."""
        with self.writing() as writer:
            return writer.append(kind, **body)

    def head(self) -> Head | None:
        """The last head that was signed for export, as it was sent; None before the first."""
        with self._reading() as (_, known):
            return known.chain.head

    def verify(self) -> Verification:
        """Walk over every entry again, and check every hash, link and signature. It tells what it finds."""
        chain = Chain(self._site, self.public_key)
        file = self.file
        with self._connected() as connection, transaction(connection, file, write=False), translated(file):
            for row in rows(connection, 0):
                chain.take(row)
            warnings = () if guarded(connection) else (UNGUARDED,)
        return chain.verification(*warnings)

    def _connected(self) -> AbstractContextManager[Connection]:
        return connected(self.file, durable=self._durable)

    def _known(self) -> Verified:
        return verified(self.file, self._site, self.public_key)

    @contextmanager
    def _reading(self) -> Iterator[tuple[Connection, Verified]]:
        known = self._known()
        with known.lock, self._connected() as connection, transaction(connection, self.file, write=False):
            known.catch_up(connection)
            yield connection, known


def _own_key(file: Path, key: Path, durable: bool) -> KeyFile:
    """The key beside the ledger. Only a ledger without entries gets a new one."""
    if not key.exists():
        with (
            connected(file, durable=durable) as connection,
            transaction(connection, file, write=True),
            translated(file),
        ):
            if not key.exists() and next(rows(connection, 0), None) is not None:
                raise Refused("LEDGER_BROKEN", f"expected the key of the privacy ledger in {key}, got none; {RESTORE}")
            KeyFile.make(key, durable=durable)
    return KeyFile(key)
