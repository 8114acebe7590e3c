"""Keys of one day each, in files of their own: with the file goes all that the key has sealed."""

from __future__ import annotations

import os
import re
import secrets
from datetime import datetime, timedelta
from pathlib import Path

from liftwerk.errors import StoreFault
from liftwerk.store.durable import make_folder, sync_folder, write_atomically
from liftwerk.store.flock import exclusive

KEY_BYTES = 32
KEPT_DAYS = 1
"""Days after its own that a key stays in any case: something may be on its way to the disk."""

_BESIDE = "new"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class DayKeys:
    """The keys of one home; the folder is made with the first of them.

    Parameters
    ----------
    folder : Path
        Readable by its owner only, and each file in it too.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import UTC
    >>> now = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    >>> with tempfile.TemporaryDirectory() as home:
    ...     keys = DayKeys(Path(home) / "keys")
    ...     key = keys.of("2026-03-01")
    ...     keys.find("2026-03-01") == key, keys.find("2026-03-02")
    ...     for day in keys.ended(now + timedelta(days=3)):
    ...         keys.drop(day)
    ...     keys.find("2026-03-01") is None
    (True, None)
    True
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, bytes] = {}

    def of(self, day: str) -> bytes:
        """Return a day's key; one that is not there is made, and is on the disk then.

        Parameters
        ----------
        day : str
            As in ISO 8601, ``"2026-03-01"``.

        Raises
        ------
        StoreFault
            If it cannot be written.
        """
        path = self.folder / day
        if day in self._known and path.exists():
            return self._known[day]
        try:
            key = self._made(day)
        except OSError as error:
            hint = "check the disk and the permissions of the home"
            raise StoreFault("a key cannot be written", str(self.folder), hint) from error
        self._known = {day: key}
        return key

    def _made(self, day: str) -> bytes:
        make_folder(self.folder)
        with exclusive(self.folder):
            key = self.find(day)
            if key is None:
                key = secrets.token_bytes(KEY_BYTES)
                beside = self.folder / _BESIDE
                beside.unlink(missing_ok=True)  # of one that was killed
                os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                write_atomically(self.folder / day, key, beside)
        return key

    def find(self, day: str) -> bytes | None:
        """Return a day's key; None when it is gone."""
        try:
            key = (self.folder / day).read_bytes()
        except FileNotFoundError:
            return None
        if len(key) != KEY_BYTES:
            return None
        return key

    def ended(self, at: datetime) -> list[str]:
        """Return the days whose keys seal nothing new any more.

        Parameters
        ----------
        at : datetime
            The present.
        """
        if not self.folder.is_dir():
            return []
        oldest = (at - timedelta(days=KEPT_DAYS)).date().isoformat()
        names = sorted(path.name for path in self.folder.iterdir())
        return [name for name in names if _DAY.fullmatch(name) and name < oldest]

    def drop(self, day: str) -> None:
        """Delete a day's key: what it has sealed can't be opened any more."""
        (self.folder / day).unlink(missing_ok=True)
        sync_folder(self.folder)
