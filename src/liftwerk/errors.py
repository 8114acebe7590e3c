"""What can go wrong, drawn as one family.

    LiftwerkError            one line: WHAT: WHERE: what to do
    ├── ProjectError         the call or the project is wrong; nothing was written
    │   ├── DefinitionError  the project file: unknown key, bad value, missing reference
    │   ├── InputError       a file or a body that cannot be read as declared
    │   │   ├── TooLarge     more than may come at once
    │   │   ├── TooSlow      a body that did not come in time
    │   │   └── UnknownForm  a content type, character set or encoding that is not read
    │   └── UnknownName      a name that nothing declares or no store holds
    ├── Refused              the work ran and the answer is "no"
    │   ├── TooManyBadRows   more rows were quarantined than the project allows
    │   ├── Unauthenticated  no key, or none that works
    │   ├── Forbidden        a key, or a page, that may not do this
    │   └── Throttled        more came than a source may send; later it may again
    └── EnvironmentFault     the machine: disk, lock, damaged or newer home
        ├── Overloaded       more came than can be kept at once; nothing of it was taken
        ├── HomeInUse        another process holds the home
        ├── HomeFormat       the home was written by another version
        ├── Conflict         another process wrote first; nothing was written
        └── StoreFault       a store cannot be read or written

The family knows neither HTTP nor the command line: the edges map it, by class, to a status or an
exit code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LiftwerkError(Exception):
    """Anything liftwerk tells a person about in one line.

    Parameters
    ----------
    what : str
        What went wrong, in a few words.
    where : str
        File, line, key, row or name that it is about.
    hint : str
        What to do about it; may be empty when nothing can be advised.

    Examples
    --------
    >>> str(LiftwerkError("unknown key 'colour'", "liftwerk.toml:3", "did you mean 'color'?"))
    "unknown key 'colour': liftwerk.toml:3: did you mean 'color'?"
    """

    def __init__(self, what: str, where: str, hint: str = "") -> None:
        self.what = what
        self.where = where
        self.hint = hint
        super().__init__(": ".join(part for part in (what, where, hint) if part))


class ProjectError(LiftwerkError):
    """The call or the project is wrong; nothing was written."""


class DefinitionError(ProjectError):
    """Something in the project file is wrong."""


class InputError(ProjectError):
    """A file or a request body cannot be read as declared."""


class TooLarge(InputError):
    """More than may come at once; nothing of it was taken."""


class TooSlow(InputError):
    """A body that did not come in time; nothing of it was taken."""


class UnknownForm(InputError):
    """A content type, a character set or an encoding that is not read."""


class UnknownName(ProjectError):
    """A name that nothing declares, or that no store holds."""


class Refused(LiftwerkError):
    """The work ran, and the answer is "no"."""


class TooManyBadRows(Refused):
    """More rows were quarantined than ``[import] max_bad`` allows; nothing was published."""


class Unauthenticated(Refused):
    """No key, or none that works."""


class Forbidden(Refused):
    """A key, or a page, that may not do this."""


class Throttled(Refused):
    """More came than a source may send in this stretch of time; nothing of it was taken.

    Parameters
    ----------
    what, where, hint : str
        As for every error.
    retry_after : float
        Seconds after which it may come again.
    """

    def __init__(self, what: str, where: str, hint: str = "", *, retry_after: float = 1.0) -> None:
        super().__init__(what, where, hint)
        self.retry_after = retry_after


class EnvironmentFault(LiftwerkError):
    """The machine, the disk or another process is in the way."""


class Overloaded(EnvironmentFault):
    """More came than can be kept at once; nothing of it was taken, send it again in a second."""


class HomeInUse(EnvironmentFault):
    """Another process holds the home."""


class HomeFormat(EnvironmentFault):
    """The home was written by another version of liftwerk."""


class Conflict(EnvironmentFault):
    """Another process wrote first; nothing was written: read again, and work it out anew."""


class StoreFault(EnvironmentFault):
    """A store cannot be read or written."""


LISTED = 30
"""Names that are listed where none is near."""


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """Suggest the nearest known name.

    Parameters
    ----------
    found : str
        The name as it was written.
    known : iterable of str
        The names that would have been right.

    Returns
    -------
    str
        ``"did you mean 'x'?"``, or the known names when none is near: of many the first.

    Examples
    --------
    >>> did_you_mean("vist", ["visit", "order_completed"])
    "did you mean 'visit'?"
    >>> did_you_mean("zzz", ["b", "a"])
    'known: a, b'
    >>> did_you_mean("zzz", [f"n{number:02}" for number in range(90)])[-20:]
    'n28, n29 and 60 more'
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(found, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return "none is declared"
    known_names = ", ".join(names[:LISTED])
    if len(names) > LISTED:
        known_names += f" and {len(names) - LISTED:,} more"
    return f"known: {known_names}"
