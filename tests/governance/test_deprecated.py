"""A deprecated feature is said before its day, and refused to whoever still reads it after it."""

from __future__ import annotations

from datetime import date

import pytest

from liftwerk.errors import DefinitionError
from liftwerk.governance.deprecated import deprecated_uses
from tests.governance.declared import declared

DAY = date(2027, 3, 1)


@pytest.mark.parametrize(("today", "over"), [(date(2027, 2, 28), False), (DAY, True)])
def test_every_consumer_is_named(today: date, over: bool) -> None:
    uses = deprecated_uses(declared(features__local__deprecated="2027-03-01"), today)
    assert [(one.problem.what, one.over) for one in uses] == [
        ("features.local_share reads local, which is deprecated from 2027-03-01 on", over)
    ]
    shop = declared(
        features__local_share__deprecated="2027-03-01", features__local_share__use="local"
    )
    uses = deprecated_uses(shop, today)
    assert [(one.problem.key, one.problem.hint) for one in uses] == [
        ("feature_views.crm.features", "use local in its place"),
        ("models.voucher.features", "use local in its place"),
    ]


def test_nothing_is_said_where_nothing_is_deprecated_or_all_of_it_is() -> None:
    assert deprecated_uses(declared(), DAY) == []
    both = declared(
        features__local__deprecated="2027-03-01",
        features__local_share__deprecated="2027-03-01",
        feature_views=None,
        models__voucher__features=["spend"],
    )
    assert deprecated_uses(both, DAY) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"deprecated": "2027-02-30"}, "a day that there is"),
        ({"deprecated": "soon"}, 'write a day such as "2027-03-01"'),
        ({"use": "local"}, "add deprecated"),
        ({"use": "locl", "deprecated": "2027-03-01"}, "did you mean 'local'"),
        ({"use": "spend", "deprecated": "2027-03-01"}, "name another feature"),
    ],
)
def test_a_wrong_deprecation_is_said(changed: dict[str, str], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        declared(**{f"features__spend__{key}": value for key, value in changed.items()})
