"""Words in column names, and what they make likely."""

from __future__ import annotations

import re
import unicodedata

_SPLIT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_UNIT_DAYS = {"d": 1, "day": 1, "days": 1, "w": 7, "week": 7, "weeks": 7, "m": 30, "month": 30}


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


KEY = _set(
    "id key uid uuid guid customer client user member subscriber contact person household email "
    "account cust"
)
ARM = _set(
    "arm arms group grp treatment treated treat segment variant variation campaign cell condition "
    "assignment assigned experiment bucket testgroup armid ab"
)
CONTROL = _set(
    "control controls ctrl none no nothing holdout placebo baseline untreated without bau"
)
CONTROL_LEVELS = frozenset(("0", "0.0", "false", "off", "c", "f", "n"))
YES = ("1", "1.0", "true", "yes", "y", "t")
NO = ("0", "0.0", "false", "no", "n", "f")
PROBABILITY = _set("probability probabilities prob proba propensity pscore ps")
BEFORE = _set(
    "before pre prior past previous prev last history historic historical ytd lag lifetime since "
    "recency frequency tenure ago avg average old first"
)
MONEY = _set(
    "spend spent spending revenue amount sales turnover gmv basket payment paid value money "
    "profit price total"
)
MONEY_FOR_SURE = _set("spend spent spending revenue sales turnover gmv amount")
OUTCOME = _set(
    "visit visits visited click clicks clicked conversion conversions converted convert purchase "
    "purchases purchased order orders ordered buy bought sale response responded responds respond "
    "signup registered registration outcome success target label y install installed download "
    "redeemed redemption renewed renewal booked booking"
)
ORDER = _set(
    "conversion conversions converted convert purchase purchases purchased order orders ordered "
    "buy bought sale booked booking"
)
MEANWHILE = _set(
    "exposure exposed open opens opened delivered delivery bounced bounce impression impressions "
    "after post followup unsubscribed unsubscribe complaint complaints returned refund refunds "
    "session sessions"
)
"""Things that happen because of the action or after it, and are no outcome to be increased."""

PERSONAL = _set(
    "email phone mobile telephone tel firstname lastname surname fullname address street birth "
    "birthday birthdate dob ip iban ssn passport latitude longitude lat lon"
)
_NAME_OF = _set("first last full customer client user person family given sur")
SENSITIVE = _set(
    "religion ethnicity ethnic race health diagnosis disability political politics sexual "
    "orientation"
)
TIME = _set("date time timestamp at day")
CURRENCIES = ("USD", "EUR", "GBP", "CHF", "JPY", "SEK", "NOK", "DKK", "PLN", "CAD", "AUD", "INR")
SYMBOLS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY"}
CHANNELS = {
    "email": ("email", "mail", "newsletter", "mailing"),
    "sms": ("sms", "text"),
    "push": ("push",),
    "letter": ("letter", "catalog", "catalogue", "post"),
    "phone": ("call", "phone"),
    "web": ("banner", "popup", "web", "site"),
}


def words(name: str) -> tuple[str, ...]:
    """Split a name into its words, in lower case.

    Examples
    --------
    >>> words("orderValue_14d"), words("E-Mail"), words("CustomerID")
    (('order', 'value', '14', 'd'), ('e', 'mail'), ('customer', 'id'))
    """
    return tuple(word.lower() for word in _SPLIT.findall(_folded(name)))


def _folded(text: str) -> str:
    """Take the marks off letters."""
    apart = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def has(name: str, known: frozenset[str]) -> bool:
    """Say whether one of a name's words is known.

    Examples
    --------
    >>> has("spend_last_year", BEFORE), has("history", MONEY)
    (True, False)
    """
    return not known.isdisjoint(words(name))


def slug(name: str, fallback: str) -> str:
    """Make a name for the project file.

    Examples
    --------
    >>> slug("Women's E-Mail", "arm_1"), slug("2nd offer", "arm_2"), slug("控制", "arm_3")
    ('womens_email', 'arm_2_2nd_offer', 'arm_3')
    """
    plain = re.sub(r"['’]", "", _folded(name)).lower().replace("e-mail", "email")
    text = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:48].strip("_")
    if not text:
        return fallback
    if not text[0].isalpha():
        return f"{fallback}_{text}"
    return text


def is_personal(name: str) -> bool:
    """Say whether a column's name promises something that tells who a person is.

    Examples
    --------
    >>> is_personal("Customer Name"), is_personal("product_name"), is_personal("e-mail")
    (True, False, True)
    """
    found = words(name)
    if not PERSONAL.isdisjoint(found) or found == ("name",) or found == ("e", "mail"):
        return True
    return "name" in found and not _NAME_OF.isdisjoint(found)


def days_in(name: str) -> int | None:
    """Return the length of time a name speaks of, in days.

    Examples
    --------
    >>> days_in("spend_14d"), days_in("visits2weeks"), days_in("spend")
    (14, 14, None)
    """
    found = re.search(r"(\d{1,3})[_ ]?(days?|d|weeks?|w|months?|m)(?![a-z])", name.lower())
    if found is None:
        return None
    return int(found[1]) * _UNIT_DAYS[found[2].removesuffix("s")]


def channel_of(names: list[str]) -> str:
    """Guess by which channel actions with such names go.

    Examples
    --------
    >>> channel_of(["Mens E-Mail", "No E-Mail"]), channel_of(["a", "b"])
    ('email', 'campaign')
    """
    found = {word for name in names for word in words(name)}
    for channel, known in CHANNELS.items():
        if found.intersection(known):
            return channel
    return "campaign"
