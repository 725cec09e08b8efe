"""Students, codes, usage and the teacher's settings in one SQLite file.

What `write` has written survives the end of the process at any moment (`kill -9`), because the file has a
write-ahead log. A write takes some hundredths of a millisecond; moving the log into the file, which may take
long, is left to a thread.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Store"]

VERSION = 1
CHECKPOINT_S = 20.0
"""Seconds between two moves of the log into the file."""
_APPLICATION = 0x6E627667  # "nbvg"
_TABLES = """
CREATE TABLE students (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE, role TEXT NOT NULL,
    token BLOB UNIQUE, created REAL NOT NULL, blocked INTEGER NOT NULL DEFAULT 0,
    extra_day INTEGER NOT NULL DEFAULT 0, extra_tokens INTEGER NOT NULL DEFAULT 0,
    extra_until REAL NOT NULL DEFAULT 0
);
CREATE TABLE usage (
    id INTEGER PRIMARY KEY, student INTEGER NOT NULL, started REAL NOT NULL, model TEXT NOT NULL,
    task TEXT NOT NULL, ended REAL, prompt_tokens INTEGER, completion_tokens INTEGER, status TEXT,
    first_s REAL, total_s REAL, shared INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX usage_by_time ON usage (started);
CREATE INDEX usage_by_student ON usage (student, started);
CREATE TABLE codes (code TEXT PRIMARY KEY, name TEXT NOT NULL, used REAL);
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Store:
    """One file; of several processes only one may use it.

    Parameters
    ----------
    path
        The file; None for a temporary one, which is deleted in the end.

    Raises
    ------
    Error
        If it cannot be opened, is in use by another gateway, or is not a gateway's file.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._folder = None if path is not None else tempfile.TemporaryDirectory(prefix="nbvlm-gateway-")
        self.path = path if path is not None else Path(self._folder.name, "usage.sqlite")  # type: ignore[union-attr]
        self._lock = FileLock(f"{self.path}.lock", timeout=0, thread_local=False)
        try:
            self._lock.acquire()
        except Timeout:
            raise Error(
                f"Another gateway uses {self.path}.", hint="End it, or name another [store] file."
            ) from None
        except OSError as error:
            raise self._unusable(error) from None
        try:
            self._connection = self._opened()
        except BaseException:
            self._lock.release()
            raise

    def _unusable(self, error: Exception) -> Error:
        reason = getattr(error, "strerror", None) or str(error)
        return Error(f"{self.path} cannot be used: {reason}.", hint="Name another file: [store] file = …")

    def _opened(self) -> sqlite3.Connection:
        try:
            self.path.touch(mode=0o600)
            connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=10)
            # A killed process loses nothing that the system has; a failing computer may lose the last second.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            if version == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                connection.executescript(
                    f"BEGIN; {_TABLES} PRAGMA application_id = {_APPLICATION};"
                    f" PRAGMA user_version = {VERSION}; COMMIT;"
                )
            elif (version, application) != (VERSION, _APPLICATION):
                hint = "Name another file: [store] file = …"
                raise Error(f"{self.path} is not the file of a gateway of this version.", hint=hint)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from None
        with suppress(OSError):  # what the file holds is not for other users of this computer
            os.chmod(self.path, 0o600)  # noqa: PTH101
        return connection

    def read(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query that is quickly answered."""
        return self._connection.execute(query, values).fetchall()

    async def read_slowly(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of any query, read in a thread."""
        return await asyncio.to_thread(self._read_apart, query, values)

    def _read_apart(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path, timeout=10)) as connection:
            return connection.execute(query, values).fetchall()

    def write(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Write one statement; when this returns, it is kept. Return the number of the row."""
        return int(self._connection.execute(statement, values).lastrowid or 0)

    def setting(self, name: str) -> Any:
        """Return a setting, or None."""
        rows = self.read("SELECT value FROM settings WHERE name = ?", (name,))
        return json.loads(rows[0][0]) if rows else None

    def set(self, name: str, value: Any) -> None:
        """Keep a setting."""
        self.write("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    async def keep_short(self) -> None:
        """Move the log into the file again and again, until cancelled."""
        while True:
            await asyncio.sleep(CHECKPOINT_S)
            with suppress(
                sqlite3.Error
            ):  # a full disk; the log goes on to grow, and the next time may succeed
                await self.read_slowly("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Move the log into the file, and close it."""
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()
        self._lock.release()
        if self._folder is not None:
            self._folder.cleanup()
