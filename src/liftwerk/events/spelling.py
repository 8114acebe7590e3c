"""The one spelling of an identifier: what is done to a value before it is hashed.

A rule that was published never changes: what it means is part of every leaf key in every home. A
better one is a new version beside the old, and `LATEST` says which version a bare name stands for.
So ``email`` in a project file is read, and hashed, as ``email@1``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from liftwerk.lazy import LazyModule
from liftwerk.money import is_currency

if TYPE_CHECKING:
    import phonenumbers
else:
    phonenumbers = LazyModule("phonenumbers")

Rule = Literal[
    "none",
    "trim",
    "lower",
    "email",
    "phone",
    "country",
    "currency",
    "sku",
    "sha256",
    "none@1",
    "trim@1",
    "lower@1",
    "email@1",
    "phone@1",
    "country@1",
    "currency@1",
    "sku@1",
    "sha256@1",
]
"""A rule by its name, or with its version."""

PHONE = "phone@1"
"""The rule that a region is for."""

_CODES = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS
BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE
EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM
HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC
LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA
NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW
SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO
TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
"""
COUNTRIES = frozenset(_CODES.split())
"""ISO 3166-1, alpha-2."""

_DIGEST = re.compile("[0-9a-f]{64}")


def normalise(rule: Rule, value: str, region: str | None = None) -> str:
    """Give an identifier its one spelling.

    Parameters
    ----------
    rule : str
        ``none`` leaves it alone; ``trim`` cuts white space around it, as all the others do first;
        ``lower`` writes it in small letters, in Unicode's composed form; ``email`` does so and
        demands an address; ``phone`` writes a number as E.164; ``country`` and ``currency`` demand
        a code of ISO 3166 and ISO 4217; ``sku`` writes it in capitals without white space;
        ``sha256`` demands 64 hexadecimal digits, for what was hashed elsewhere.
    value : str
        The identifier as it came.
    region : str, optional
        The country whose form a number without ``+`` has, for ``phone``.

    Returns
    -------
    str
        The spelling that is hashed; normalised again it stays the same.

    Raises
    ------
    ValueError
        If nothing is left, or if it is not what the rule demands. The message has no value in it.

    Examples
    --------
    >>> normalise("email", " Ada@Example.com ")
    'ada@example.com'
    >>> normalise("phone", "030 123456", region="DE"), normalise("sku", "ab 12-x")
    ('+4930123456', 'AB12-X')
    """
    spelled = _spelled(with_version(rule), value, region)
    if not spelled:
        raise ValueError("an identifier is empty")
    return spelled


def with_version(rule: Rule) -> Rule:
    """Say which version of a rule its name stands for.

    Examples
    --------
    >>> with_version("email"), with_version("email@1")
    ('email@1', 'email@1')
    """
    return LATEST.get(rule, rule)


def _spelled(rule: Rule, value: str, region: str | None) -> str:
    if rule == PHONE:
        return _phone(value.strip(), region)
    return _SPELLINGS[rule](value)


def _lower(value: str) -> str:
    return unicodedata.normalize("NFC", value.strip().lower())


def _email(value: str) -> str:
    spelled = _lower(value)
    if not spelled:
        return ""
    name, at, host = spelled.rpartition("@")
    if not at or not name or not host or any(map(str.isspace, spelled)):
        raise ValueError("an identifier is not an e-mail address")
    return spelled


def _phone(value: str, region: str | None) -> str:
    if not value:
        return ""
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        raise ValueError("an identifier is not a phone number") from None
    # Possible and not "valid": which numbers are given out changes with every release of the list.
    if not phonenumbers.is_possible_number(number):
        raise ValueError("an identifier is not a phone number")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _country(value: str) -> str:
    spelled = value.strip().upper()
    if spelled and spelled not in COUNTRIES:
        raise ValueError("an identifier is not a country's code of two letters")
    return spelled


def _currency(value: str) -> str:
    spelled = value.strip().upper()
    if spelled and not is_currency(spelled):
        raise ValueError("an identifier is not a currency's code of three letters")
    return spelled


def _sku(value: str) -> str:
    return unicodedata.normalize("NFC", "".join(value.split()).upper())


def _sha256(value: str) -> str:
    spelled = value.strip().lower()
    if spelled and _DIGEST.fullmatch(spelled) is None:
        raise ValueError("an identifier is not a SHA-256 in 64 hexadecimal digits")
    return spelled


_SPELLINGS: dict[Rule, Callable[[str], str]] = {
    "none@1": str,
    "trim@1": str.strip,
    "lower@1": _lower,
    "email@1": _email,
    "country@1": _country,
    "currency@1": _currency,
    "sku@1": _sku,
    "sha256@1": _sha256,
}

LATEST: dict[Rule, Rule] = {
    "none": "none@1",
    "trim": "trim@1",
    "lower": "lower@1",
    "email": "email@1",
    "phone": "phone@1",
    "country": "country@1",
    "currency": "currency@1",
    "sku": "sku@1",
    "sha256": "sha256@1",
}
"""Rule -> the version that its bare name stands for."""
