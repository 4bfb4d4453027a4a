"""The SQLite file of a ledger: made whole, opened for one transaction at a time, its errors told in plain words.

A connection lives for one transaction, so that a ledger survives a fork and serves several threads; it costs about a
millisecond, and leaves everything in one file. Write-ahead log and `synchronous=FULL`: what was committed is on disk.

The ledger of a simulated site is not `durable`: it is as whole after its process was killed, and may be lost when the
machine fails, when the run that it belongs to is to be repeated.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from shared.errors import Refused
from shared.privacy.new_file import make_once

__all__ = ["SCHEMA", "WAIT_SECONDS", "connected", "create", "guarded", "identity", "transaction", "translated"]

SCHEMA = 1
WAIT_SECONDS = 30.0
TABLE = """CREATE TABLE entry (
    seq INTEGER PRIMARY KEY, body TEXT NOT NULL, prev TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, sig BLOB
)"""
GUARDS = {
    "entry_is_never_changed": """CREATE TRIGGER entry_is_never_changed BEFORE UPDATE ON entry
    BEGIN SELECT RAISE(ABORT, 'a ledger entry is never changed'); END""",
    "entry_is_never_removed": """CREATE TRIGGER entry_is_never_removed BEFORE DELETE ON entry
    BEGIN SELECT RAISE(ABORT, 'a ledger entry is never removed'); END""",
    "entry_is_only_appended": """CREATE TRIGGER entry_is_only_appended BEFORE INSERT ON entry
    WHEN NEW.seq IS NOT (SELECT COALESCE(MAX(seq), 0) + 1 FROM entry)
    BEGIN SELECT RAISE(ABORT, 'a ledger entry is only appended'); END""",
}
SYNCHRONOUS = {True: "PRAGMA synchronous = FULL", False: "PRAGMA synchronous = OFF"}
ADVICE = {
    "full": "nothing was written; free some space on that disk",
    "disk I/O error": "nothing was written; free some space on that disk, or have it checked",
    "locked": f"another process has been writing for {WAIT_SECONDS:.0f} s; wait for it, or stop it",
    "readonly": "let the user who runs mmfed write there",
    "unable to open": "let the user who runs mmfed write there",
}

RESTORE = (
    "keep the file as it is, ask who had access to it, and restore the newest backup: what was spent since is then "
    "told by the heads that the coordinator keeps"
)


def create(file: Path, *, durable: bool = True) -> None:
    """Make an empty ledger, unless one is there; of several processes at once, one makes it."""
    if not file.exists():
        make_once(file, lambda new: _fill(new, durable), durable=durable)


def _fill(new: Path, durable: bool) -> None:
    with closing(sqlite3.connect(new, isolation_level=None)) as connection:
        connection.execute(SYNCHRONOUS[durable])
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise sqlite3.OperationalError(f"no write-ahead log on this disk (journal mode {mode})")
        connection.execute("BEGIN")
        for statement in (TABLE, *GUARDS.values(), f"PRAGMA user_version = {SCHEMA}"):
            connection.execute(statement)
        connection.execute("COMMIT")


@contextmanager
def connected(file: Path, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
    """A connection in autocommit mode to an existing ledger.

    Raises
    ------
    Refused
        LEDGER_FAILED: the file cannot be opened, or a newer version made it. LEDGER_BROKEN: it is no ledger.
    """
    with translated(file):
        uri = f"file:{quote(str(file.absolute()))}?mode=rw"  # never makes a file
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=WAIT_SECONDS)
    with closing(connection):
        with translated(file):
            connection.execute(SYNCHRONOUS[durable])
            schema = connection.execute("PRAGMA user_version").fetchone()[0]
        if schema > SCHEMA:
            raise Refused(
                "LEDGER_FAILED",
                f"{file}: expected a ledger of schema {SCHEMA}, got schema {schema} of a newer version of mmfed; "
                "run that version",
            )
        if schema != SCHEMA:
            raise Refused("LEDGER_BROKEN", f"{file}: expected a privacy ledger, got another file; {RESTORE}")
        yield connection


@contextmanager
def transaction(connection: sqlite3.Connection, file: Path, *, write: bool) -> Iterator[None]:
    """All or nothing. To write is to wait until nobody else does, and the commit is on disk when this ends."""
    with translated(file):
        connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
    try:
        yield
        with translated(file):
            connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite has often rolled back by itself
            connection.execute("ROLLBACK")
        raise


@contextmanager
def translated(file: Path) -> Iterator[None]:
    """SQLite's and the system's errors as Refused: LEDGER_FAILED, or LEDGER_BROKEN where the file itself is damaged."""
    try:
        yield
    except (sqlite3.OperationalError, OSError) as exc:
        advice = next((text for part, text in ADVICE.items() if part in str(exc)), "see that mmfed can write there")
        raise Refused(
            "LEDGER_FAILED", f"expected to open and write the privacy ledger {file}, got: {exc}; {advice}"
        ) from exc
    except sqlite3.DatabaseError as exc:
        raise Refused("LEDGER_BROKEN", f"{file}: expected a privacy ledger, got: {exc}; {RESTORE}") from exc


def identity(connection: sqlite3.Connection, file: Path) -> tuple[int, int, int]:
    """Device, inode and schema counter: another one once the file was replaced, or its triggers were dropped."""
    stat = file.stat()
    return stat.st_dev, stat.st_ino, connection.execute("PRAGMA schema_version").fetchone()[0]


def guarded(connection: sqlite3.Connection) -> bool:
    """Whether the triggers that forbid any change are as they were made."""
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    return dict(found) == GUARDS
