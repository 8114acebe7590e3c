from __future__ import annotations

from pathlib import Path

import pytest

from liftwerk.definitions import load, problems
from liftwerk.errors import DefinitionError
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.sections import SECTIONS

SHOP = Path(__file__).parents[1] / "definitions" / "shop.toml"
FIRST_LINE = SHOP.read_text().count("\n") + 1

EXPERIMENTS_TEXT = """\
[experiments.free_voucher]
design = "ab"
description = "A voucher in the weekly mail"
purpose = "ads"
placement = "email"
metrics = ["margin"]
counter_metrics = { visited = "2%" }
covariates = ["spent"]
testers = { "customer_id:42" = "voucher" }

[experiments.free_voucher.arms]
control = { share = "1/2" }
voucher = { share = "1/2", action = "voucher" }

[experiments.banner]
design = "switchback"
description = "A banner for everybody, by turns"
purpose = "ads"
metrics = ["revenue"]
arms = { without = {}, with = {} }
switchback = { block = "4h", washout = "30min" }

[experiments.radio]
design = "geo"
description = "Radio in two regions"
purpose = "ads"
metrics = ["revenue"]
geo = "region"
arms = { quiet = {}, radio = { geos = ["north", "west"] }, more_radio = { geos = ["south"] } }
"""

# What stands there, what is written instead, and what a person reads, without the place.
EDITS = [
    ('["margin"]', '["margn"]', "metrics[0] is 'margn'"),
    ('["margin"]', "[]", "name what it is judged by"),
    ('["margin"]', '["margin", "visited"]', "it is judged by it already"),
    ('{ visited = "2%" }', '{ visits = "2%" }', "did you mean 'visited'?"),
    ('["spent"]', '["spend"]', "did you mean 'spent'?"),
    ('placement = "email"', 'placement = "mail"', "did you mean 'email'?"),
    ('placement = "email"', "", "name the placement where it appears"),
    ('action = "voucher"', 'action = "vouchr"', "did you mean 'voucher'?"),
    ('{ share = "1/2" }', '{ share = "1/2", action = "voucher" }', "control is the placement's"),
    ('{ share = "1/2" }', '{ share = "1/3" }', "add up to 5/6: liftwerk.toml"),
    ('{ share = "1/2" }', '{ share = "0" }', "leave nothing for one of them"),
    ('"customer_id:42" = "voucher"', '"42" = "voucher"', 'write "NAMESPACE:VALUE"'),
    ('"customer_id:42" = "voucher"', '"customr_id:42" = "voucher"', "did you mean 'customer_id'?"),
    ('"customer_id:42" = "voucher"', '"customer_id:42" = "vouch"', "did you mean 'voucher'?"),
    ('covariates = ["spent"]', 'adjustment = "cupac"', "name covariates"),
    ('covariates = ["spent"]', 'level = "100%"', "write more than 0 and less than 1"),
    ('covariates = ["spent"]', 'winsorise = "1%"', "the quantile above which values are cut"),
    ('covariates = ["spent"]', 'exposure = "vist"', "did you mean 'visit'?"),
    ('covariates = ["spent"]', 'geo = "region"', "belongs to the design 'geo'"),
    ('covariates = ["spent"]', 'salt = "banner"', "the same arms to the same units"),
    ('covariates = ["spent"]', 'share = "0%"', "let somebody in"),
    ('washout = "30min"', 'washout = "4h"', "write less than the block, 4h"),
    ('switchback = { block = "4h", washout = "30min" }', "", "experiments.banner.switchback is"),
    ("arms = { without = {}, with = {} }", "arms = { with = {} }", "name two at least"),
    ('["south"]', '["west"]', "a region has one arm, and 'radio' names it"),
    ('["south"]', "[]", "`liftwerk geo plan` proposes regions"),
    ("quiet = {}", 'quiet = { geos = ["east"] }', "only the arms of a geo design beside control"),
    ("quiet = {}", 'quiet = { spend = "5" }', "beside control have one, of more than 0"),
    ('geos = ["south"]', 'spend = "-5", geos = ["south"]', "beside control have one, of more"),
    ("experiments.radio", "experiments.global_holdout", "is taken"),
]


def write(folder: Path, text: str) -> Path:
    (folder / "liftwerk.toml").write_text(SHOP.read_text() + text)
    return folder


def test_the_arms_share_what_is_left(tmp_path: Path) -> None:
    project = load(write(tmp_path, EXPERIMENTS_TEXT), SECTIONS)
    experiments = project.get(EXPERIMENTS)
    assert experiments["free_voucher"].control == "control"
    assert [str(one) for one in experiments["banner"].shares.values()] == ["1/2", "1/2"]


@pytest.mark.parametrize(("old", "new", "words"), EDITS, ids=[words for *_, words in EDITS])
def test_one_line_says_where_and_what(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert EXPERIMENTS_TEXT.count(old) == 1
    with pytest.raises(DefinitionError) as caught:
        load(write(tmp_path, EXPERIMENTS_TEXT.replace(old, new)), SECTIONS)
    (line,) = str(caught.value).splitlines()
    assert words in line
    (problem,) = problems(tmp_path, SECTIONS)
    assert problem.line is not None
    assert problem.line >= FIRST_LINE
