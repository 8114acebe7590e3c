"""A project proposed for a trial with any column names loads, imports and says what to check."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liftwerk.clock import FixedClock
from liftwerk.connectors.definition import IMPORTS
from liftwerk.connectors.import_file import import_file
from liftwerk.connectors.job import Imported, ImportJob
from liftwerk.connectors.propose import Proposal, propose
from liftwerk.decisions.definition import PLACEMENTS, POLICIES
from liftwerk.definitions import Project
from liftwerk.definitions.load import load, problems
from liftwerk.errors import InputError, ProjectError
from liftwerk.events.compact import compact
from liftwerk.events.definition import EVENTS
from liftwerk.features.as_of import current, training_set
from liftwerk.features.definition import FEATURES
from liftwerk.identity.resolve import customer_of, read
from liftwerk.metrics.count import per_decision
from liftwerk.metrics.definition import METRICS
from liftwerk.models.definition import MODELS
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores

from . import trials

pytestmark = pytest.mark.slow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def proposed(file: Path, target: Path) -> tuple[Proposal, Project]:
    """Propose a project; it must hold together as it stands."""
    proposal = propose(file, target)
    assert problems(target, SECTIONS) == []
    text = (target / "liftwerk.toml").read_text(encoding="utf-8")
    assert text.count("# PLEASE CHECK: ") == len(proposal.questions)
    return proposal, load(target, SECTIONS)


def imported(project: Project, stores: Stores) -> Imported:
    placements = project.get(PLACEMENTS)
    controls = {name: placement.control for name, placement in placements.items()}
    done = import_file(ImportJob(project, stores, "trial", FixedClock(NOW), controls))
    compact(project, stores, FixedClock(NOW))
    return done


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "mine"


def features(project: Project) -> dict[str, str]:
    """Return feature -> type of its property."""
    properties = project.get(EVENTS)["history_recorded"].properties
    return {name: properties[name].type for name in project.get(FEATURES)}


def decision(project: Project) -> Any:
    (made,) = (
        event for event in project.get(IMPORTS)["trial"].events if event.event == "decision_made"
    )
    return made


def refused(file: Path, target: Path) -> str:
    with pytest.raises(InputError) as caught:
        propose(file, target)
    assert "\n" not in str(caught.value)
    assert not target.exists()
    return str(caught.value)


# ---------------------------------------------------------------- what a clear file becomes


def test_a_clear_trial_is_understood(tmp_path: Path, target: Path) -> None:
    file = trials.save(tmp_path / "trial.csv", trials.trial())
    proposal, project = proposed(file, target)
    assert features(project) == {"recency": "integer", "past_spend": "money", "region": "string"}
    made = decision(project)
    assert made.action.map == {"Control": "control", "Voucher": "voucher"}
    assert project.get(PLACEMENTS)["campaign"].control == "control"
    assert made.probability.value.exact == Fraction(1, 2)
    assert project.get(MODELS)["campaign_uplift"].outcomes == ("visit", "spend")
    assert project.get(POLICIES)["best_action"].reward == "margin"
    assert proposal.changes == ()
    assert (target / proposal.data).read_bytes() == file.read_bytes()


def test_only_what_a_file_cannot_say_is_asked(tmp_path: Path, target: Path) -> None:
    table = trials.trial()
    table["spend_eur_30d"] = table.pop("spend")
    proposal, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    asked = " / ".join(proposal.questions)
    for word in ("times", "margin", "costs nothing", "ground", "lose at most", "do not matter"):
        assert word in asked
    for word in ("amounts are in", "days", "control arm", "probabilit"):
        assert word not in asked
    assert project.currency == "EUR"
    assert str(project.get(METRICS)["margin"].within) == "30d"


def test_renamed_hillstrom_with_two_arms_imports_whole(tmp_path: Path, target: Path) -> None:
    """Other names, other order, one of the mails left out: what went in comes out again."""
    table = trials.hillstrom(9000)
    keep = [arm != "Mens E-Mail" for arm in table["segment"]]
    names = {
        "visit": "site_visit",
        "segment": "mailing_group",
        "spend": "revenue_after",
        "customer": "client_no",
        "conversion": "has_purchased",
        "recency": "months_since_order",
        "history": "past_year_spend",
        "mens": "mens",
        "zip_code": "area",
    }
    table = trials.renamed(trials.where(table, keep), names)
    file = trials.save(tmp_path / "ours.csv", table)
    _, project = proposed(file, target)
    assert features(project) == {
        "months_since_order": "integer",
        "past_year_spend": "money",
        "mens": "boolean",
        "area": "string",
    }
    assert decision(project).action.map == {
        "No E-Mail": "no_email",
        "Womens E-Mail": "womens_email",
    }
    assert str(decision(project).probability.value) == "1/2"
    home = Home.open(tmp_path / "home", create=True)
    with open_stores(home) as stores, home.hold("test"):
        done = imported(project, stores)
        assert done.quarantined == 0
        counts = Counter(table["mailing_group"])
        assert done.events == {
            "decision_made": sum(counts.values()),
            "history_recorded": sum(counts.values()),
            "order_completed": table["has_purchased"].count("1"),
            "site_visit": table["site_visit"].count("1"),
        }
        _comes_out_again(project, stores, table)


def _comes_out_again(project: Project, stores: Stores, table: trials.Table) -> None:
    """Features and outcomes of every customer, through import, tables, as-of join and windows."""
    columns = ["customer", "time", "id", "action"]
    decisions = read(project, stores, "decision_made", "measurement", columns)
    spine = decisions.rename_columns(["customer", "time", "decision", "action"])
    spine = spine.take(pa.array(np.random.default_rng(3).permutation(spine.num_rows)))
    names = list(project.get(FEATURES))
    known = training_set(project, stores, spine, names, "personalisation")
    costs = {"no_email": Decimal(0), "womens_email": Decimal("0.05")}
    outcomes = ["site_visit", "spend", "margin"]
    found = per_decision(project, stores, known, outcomes, "measurement", now=NOW, costs=costs)
    assert found.column("customer").equals(spine.column("customer"))
    assert found.column("mature").to_pylist() == [True] * spine.num_rows
    row_of = {customer_of(project, number): row for row, number in enumerate(table["client_no"])}
    order = [row_of[customer] for customer in spine.column("customer").to_pylist()]

    def asked(name: str) -> list[str]:
        return [table[name][row] for row in order]

    assert found.column("months_since_order").to_pylist() == [
        int(x) for x in asked("months_since_order")
    ]
    assert found.column("past_year_spend").to_pylist() == [
        float(x) for x in asked("past_year_spend")
    ]
    assert found.column("mens").to_pylist() == [x == "1" for x in asked("mens")]
    assert found.column("area").to_pylist() == asked("area")
    assert found.column("site_visit").to_pylist() == [float(x) for x in asked("site_visit")]
    assert found.column("spend").to_pylist() == [float(x) for x in asked("revenue_after")]
    margins = [
        float(Fraction(amount) - Fraction(costs[action]))
        for amount, action in zip(
            asked("revenue_after"), found.column("action").to_pylist(), strict=True
        )
    ]
    assert found.column("margin").to_pylist() == margins
    early = per_decision(
        project, stores, spine, ["spend"], "measurement", now=datetime(2024, 1, 15, 13, tzinfo=UTC)
    )
    assert set(early.column("mature").to_pylist()) == {False}
    assert set(early.column("spend").to_pylist()) == {0.0}
    some = spine.column("customer").to_pylist()[:5]
    now = current(project, stores, some, names, "personalisation", NOW)
    assert now.select(names).equals(known.slice(0, 5).select(names))
    before = current(
        project, stores, some, names, "personalisation", datetime(2023, 1, 1, tzinfo=UTC)
    )
    assert before.column("area").null_count == 5


# ---------------------------------------------------------------- formats and spellings


def test_semicolons_decimal_commas_and_an_old_encoding(tmp_path: Path, target: Path) -> None:
    table = trials.trial(600)
    table["Straße/Gegend"] = table.pop("region")
    table["Straße/Gegend"] = [f"süd {place}" for place in table["Straße/Gegend"]]
    for name in ("spend", "past_spend"):
        table[name] = [f"{amount:.2f}".replace(".", ",") for amount in table[name]]
    file = trials.save(tmp_path / "trial.csv", table, ";", "cp1252")
    proposal, project = proposed(file, target)
    assert proposal.changes == (
        "spend: decimal commas written as points",
        "past_spend: decimal commas written as points",
    )
    assert features(project) == {
        "recency": "integer",
        "past_spend": "money",
        "strasse_gegend": "string",
    }
    with open(target / proposal.data, encoding="utf-8", newline="") as copy:
        rows = list(csv.DictReader(copy))
    assert [row["Straße/Gegend"] for row in rows] == table["Straße/Gegend"]
    assert [row["spend"] for row in rows] == [text.replace(",", ".") for text in table["spend"]]


def test_a_clean_file_with_semicolons_stays_as_it_is(tmp_path: Path, target: Path) -> None:
    table = trials.trial(600)
    table["region"] = [f"süd {place}" for place in table["region"]]
    file = trials.save(tmp_path / "trial.csv", table, ";", "cp1252")
    proposal, project = proposed(file, target)
    definition = project.get(IMPORTS)["trial"]
    assert (definition.delimiter, definition.encoding) == (";", "cp1252")
    assert (target / proposal.data).read_bytes() == file.read_bytes()
    _imports_whole(project, tmp_path, 600)


def _imports_whole(project: Project, tmp_path: Path, rows: int) -> Imported:
    home = Home.open(tmp_path / "home", create=True)
    with open_stores(home) as stores, home.hold("test"):
        done = imported(project, stores)
    assert (done.rows, done.quarantined, done.reasons) == (rows, 0, {})
    assert done.events["decision_made"] == rows
    return done


def test_parquet_with_a_boolean_arm(tmp_path: Path, target: Path) -> None:
    table = trials.trial(800)
    treated = [arm == "Voucher" for arm in table.pop("arm")]
    columns = {name: pa.array(values) for name, values in table.items()}
    columns["visit"] = columns["visit"].cast(pa.float64())
    columns["recency"] = pa.array(table["recency"], pa.float64())
    columns["is_treated"] = pa.array(treated)
    pq.write_table(pa.table(columns), tmp_path / "trial.parquet")
    _, project = proposed(tmp_path / "trial.parquet", target)
    made = decision(project)
    assert made.action.map == {"false": "nothing", "true": "is_treated"}
    assert features(project)["recency"] == "integer"
    done = _imports_whole(project, tmp_path, 800)
    assert done.events["visit"] == sum(table["visit"])
    assert done.events["order_completed"] == sum(table["conversion"])


def test_signs_thousands_and_words_for_nothing(tmp_path: Path, target: Path) -> None:
    table = trials.trial(600)
    table["spend"] = [f"${amount * 100:,.2f}" for amount in table["spend"]]
    table["recency"] = ["NA" if n == 3 else n for n in table["recency"]]
    proposal, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    assert "spend: commas between thousands taken out" in proposal.changes
    assert "recency: words for a missing number left empty" in proposal.changes
    properties = project.get(EVENTS)["history_recorded"].properties
    assert not properties["recency"].required
    assert properties["past_spend"].required
    _imports_whole(project, tmp_path, 600)


def test_amounts_finer_than_a_cent_are_rounded_and_said_so(tmp_path: Path, target: Path) -> None:
    table = trials.trial(600)
    table["spend"] = [amount * 1.0001 for amount in table["spend"]]
    proposal, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    assert proposal.changes == ("spend: amounts rounded to 2 decimals",)
    _imports_whole(project, tmp_path, 600)


# ---------------------------------------------------------------- probabilities


def test_three_arms_with_a_probability_column(tmp_path: Path, target: Path) -> None:
    """Drawn with other probabilities in each region, so that regions differ between the arms."""
    table = trials.trial(3000, {"none": 0.34, "mail": 0.33, "letter": 0.33})
    random = trials.rng(11)
    plans = {"north": [0.6, 0.3, 0.1], "south": [0.2, 0.4, 0.4], "west": [1 / 3, 1 / 3, 1 / 3]}
    arms = ["none", "mail", "letter"]
    drawn = [random.choice(3, p=plans[region]) for region in table["region"]]
    table["arm"] = [arms[place] for place in drawn]
    table["prob"] = [
        plans[region][place] for region, place in zip(table["region"], drawn, strict=True)
    ]
    proposal, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    made = decision(project)
    assert made.probability.column == "prob"
    assert made.eligible == ("none", "letter", "mail")
    assert "region" in features(project)
    assert not any("probability" in question for question in proposal.questions)
    _imports_whole(project, tmp_path, 3000)


def test_a_probability_of_being_treated_is_turned_round(tmp_path: Path, target: Path) -> None:
    table = trials.trial(3000)
    random = trials.rng(5)
    chance = random.choice([0.2, 0.5, 0.9], 3000)
    treated = random.random(3000) < chance
    table["arm"] = np.where(treated, "Voucher", "Control").tolist()
    table["propensity"] = chance.tolist()
    proposal, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    assert "'propensity' is the probability of 'Voucher' in every row" in proposal.questions
    assert decision(project).probability.column == "drawn_probability"
    with open(target / proposal.data, newline="") as copy:
        said = [float(row["drawn_probability"]) for row in csv.DictReader(copy)]
    assert said == pytest.approx(np.where(treated, chance, 1 - chance).tolist())
    assert "propensity" not in features(project)
    _imports_whole(project, tmp_path, 3000)


def test_a_probability_that_cannot_be_is_asked_about(tmp_path: Path, target: Path) -> None:
    table = trials.trial(3000)
    table["probability"] = [0.9] * 3000
    proposal, _ = proposed(trials.save(tmp_path / "t.csv", table), target)
    assert any("sizes do not agree with it" in question for question in proposal.questions)


def test_unequal_arms_get_their_plain_shares(tmp_path: Path, target: Path) -> None:
    table = trials.trial(4000, {"Control": 0.1, "Voucher": 0.9})
    proposal, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    assert any("Control 1/10, Voucher 9/10" in question for question in proposal.questions)
    with open(target / proposal.data, newline="") as copy:
        said = {row["arm"]: row["drawn_probability"] for row in csv.DictReader(copy)}
    assert said == {"Control": "0.1", "Voucher": "0.9"}
    _imports_whole(project, tmp_path, 4000)


# ---------------------------------------------------------------- arms, keys, outcomes


def test_a_control_arm_that_no_name_gives_away_is_asked_about(tmp_path: Path, target: Path) -> None:
    table = trials.trial(3000, {"A": 0.4, "B": 0.6})
    proposal, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    assert project.get(PLACEMENTS)["campaign"].control == "b"
    assert "'B' is the control arm" in proposal.questions


def test_a_trial_without_money_counts_successes(tmp_path: Path, target: Path) -> None:
    table = trials.trial(800)
    del table["spend"], table["visit"]
    table["conversion"] = ["yes" if said else "no" for said in table["conversion"]]
    proposal, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    assert "no column says how much money: each conversion counts 1.00" in proposal.questions
    assert project.get(MODELS)["campaign_uplift"].outcomes == ("conversion", "spend")
    done = _imports_whole(project, tmp_path, 800)
    assert done.events["order_completed"] == table["conversion"].count("yes")


def test_money_without_a_flag_for_orders(tmp_path: Path, target: Path) -> None:
    table = trials.trial(800)
    del table["conversion"]
    table["spend"] = [amount or "" for amount in table["spend"]]
    _, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    done = _imports_whole(project, tmp_path, 800)
    assert done.events["order_completed"] == sum(1 for amount in table["spend"] if amount)


def test_a_number_of_clicks_becomes_a_success(tmp_path: Path, target: Path) -> None:
    table = trials.trial(800)
    del table["conversion"], table["spend"]
    table["clicks"] = [visit * 3 for visit in table.pop("visit")]
    _, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    done = _imports_whole(project, tmp_path, 800)
    assert done.events["order_completed"] == sum(n > 0 for n in table["clicks"])


def test_an_address_as_the_key_is_only_an_identifier(tmp_path: Path, target: Path) -> None:
    table = trials.trial(800)
    table["Email"] = [f"{name}@example.com" for name in table.pop("customer_id")]
    _, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    definition = project.get(IMPORTS)["trial"]
    assert definition.identifiers == {"email": "Email"}
    assert "order_id" not in project.get(EVENTS)["order_completed"].properties
    _imports_whole(project, tmp_path, 800)


# ---------------------------------------------------------------- what may not be a feature


def test_personal_columns_are_left_out_and_not_copied(tmp_path: Path, target: Path) -> None:
    table = trials.trial(800)
    table["contact"] = [f"p{i}@example.com" for i in range(800)]
    table["First Name"] = ["Ada", "Alan"] * 400
    table["mobile"] = [f"+49 170 {i:07d}" for i in range(800)]
    table["religion"] = ["a", "b"] * 400
    table["remark"] = [f"called on day {i}" for i in range(800)]
    proposal, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    assert set(features(project)) == {"recency", "past_spend", "region"}
    copied = (target / proposal.data).read_text()
    written = (target / "liftwerk.toml").read_text()
    for name in ("contact", "First Name", "mobile", "religion", "remark"):
        assert f"# left out: {name}: " in written
        assert name not in copied
    assert "example.com" not in copied
    assert "Ada" not in copied


@pytest.mark.parametrize(
    "name", ["items_ordered", "opened", "exposure", "clicks", "sales_total", "orders_after"]
)
def test_what_sounds_like_an_outcome_is_no_feature(name: str, tmp_path: Path, target: Path) -> None:
    table = trials.trial(800)
    table[name] = trials.rng().integers(0, 5, 800).tolist()
    _, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    assert set(features(project)) == {"recency", "past_spend", "region"}
    assert project.get(MODELS)["campaign_uplift"].outcomes == ("visit", "spend")


def test_what_tells_the_outcome_is_no_feature_whatever_its_name(
    tmp_path: Path, target: Path
) -> None:
    table = trials.trial(1500)
    random = trials.rng()
    table["parcels"] = [n * int(random.integers(1, 4)) for n in table["conversion"]]
    table["shop_used"] = ["web" if n else "" for n in table["conversion"]]
    _, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    assert set(features(project)) == {"recency", "past_spend", "region"}
    written = (target / "liftwerk.toml").read_text()
    assert "# left out: parcels: it says 'conversion': it was filled after the action" in written


def test_what_the_action_changed_is_no_feature(tmp_path: Path, target: Path) -> None:
    """Drawn by lot, the arms are alike before the action: what differs came after it."""
    table = trials.trial(3000)
    random = trials.rng()
    shift = np.array([arm == "Voucher" for arm in table["arm"]])
    table["mood"] = (random.normal(size=3000) + 0.5 * shift).tolist()
    table["tier"] = np.where(random.random(3000) < 0.3 + 0.3 * shift, "x", "y").tolist()
    proposal, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    assert set(features(project)) == {"recency", "past_spend", "region"}
    asked = "mood, tier differ between the arms by more than chance and were left out"
    assert asked in proposal.questions


def test_a_trial_that_was_not_drawn_by_lot_is_doubted(tmp_path: Path, target: Path) -> None:
    table = trials.trial(3000)
    regular = np.array(table["recency"]) < 6
    noise = trials.rng().random(3000) < 0.2
    table["arm"] = np.where(regular ^ noise, "Voucher", "Control").tolist()
    del table["past_spend"], table["region"]
    proposal, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    assert set(features(project)) == {"recency"}
    assert any(question.startswith("the arm was drawn by lot") for question in proposal.questions)


@pytest.mark.slow
def test_honest_trials_are_not_doubted(tmp_path: Path) -> None:
    for seed in range(10):
        table = trials.trial(1000, {"none": 0.2, "a": 0.4, "b": 0.4}, seed)
        file = trials.save(tmp_path / f"t{seed}.csv", table)
        proposal = propose(file, tmp_path / f"p{seed}")
        assert not any("more than chance" in question for question in proposal.questions)


# ---------------------------------------------------------------- names that could break a file


def test_names_and_values_cannot_break_the_project_file(tmp_path: Path, target: Path) -> None:
    table = trials.trial(800)
    table["time"] = table.pop("recency")
    table["decision"] = table.pop("past_spend")
    table['re"gion # = ['] = [f'{place}"\\' for place in table.pop("region")]
    table["控制"] = ["一", "二"] * 400
    table["spend before"] = [1.5, 2.5] * 400
    table["Spend-Before"] = [1, 2] * 400
    table["arm"] = ['Con"trol {t}' if arm == "Control" else "it's 5% 'off'" for arm in table["arm"]]
    _, project = proposed(trials.save(tmp_path / "t.csv", table), target)
    assert len(features(project)) == 6
    assert {str(value) for value in decision(project).action.map.values()} == {
        "con_trol_t",
        "its_5_off",
    }
    _imports_whole(project, tmp_path, 800)


# ---------------------------------------------------------------- files that cannot be used


def _without(*names: str) -> trials.Table:
    table = trials.trial(800)
    for name in names:
        del table[name]
    return table


def test_a_file_without_an_outcome(tmp_path: Path, target: Path) -> None:
    file = trials.save(tmp_path / "t.csv", _without("visit", "conversion", "spend"))
    assert refused(file, target) == (
        "no column looks like an outcome: t.csv: "
        'name it "conversion" (0 or 1) or "spend" in the header'
    )


def test_a_file_without_an_arm(tmp_path: Path, target: Path) -> None:
    file = trials.save(tmp_path / "t.csv", _without("arm"))
    assert refused(file, target).startswith("no column says which arm a row was in: t.csv")


def test_a_file_without_a_key(tmp_path: Path, target: Path) -> None:
    file = trials.save(tmp_path / "t.csv", _without("customer_id"))
    assert refused(file, target).startswith("no column names a customer: t.csv: add a column")


def test_a_key_that_repeats(tmp_path: Path, target: Path) -> None:
    table = trials.trial(800)
    table["customer_id"][5] = table["customer_id"][6]
    file = trials.save(tmp_path / "t.csv", table)
    assert refused(file, target) == (
        "'customer_id' repeats or is empty in 1 of 800 rows: t.csv: leave one row a customer"
    )


def test_a_file_without_history(tmp_path: Path, target: Path) -> None:
    file = trials.save(tmp_path / "t.csv", _without("recency", "past_spend", "region"))
    assert "no column says what was known" in refused(file, target)


def test_bad_files_are_one_line(tmp_path: Path, target: Path) -> None:
    whole = trials.HILLSTROM.read_bytes()
    files = {
        "missing.csv": None,
        "empty.csv": b"",
        "header.csv": b"id,arm,visit\n",
        "cut.csv.gz": whole[:1000],
        "ragged.csv": b"id,arm,visit,x\n1,a,0,1\n2,b,1\n3,a,0,1\n",
        "not.parquet": b"PAR1 no",
        "photo.png": b"\x89PNG",
        "twice.csv": b"id,arm,arm\n1,a,b\n",
        "broken_name.csv": b'id,arm,"x\n[goal]",visit\n1,a,5,0\n',
    }
    for name, content in files.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        assert name in refused(tmp_path / name, target)


def test_a_project_is_never_overwritten(tmp_path: Path, target: Path) -> None:
    file = trials.save(tmp_path / "t.csv", trials.trial(800))
    proposed(file, target)
    before = (target / "liftwerk.toml").read_bytes()
    with pytest.raises(ProjectError, match=r"there is a liftwerk\.toml already"):
        propose(file, target)
    assert (target / "liftwerk.toml").read_bytes() == before


def test_a_file_in_the_folder_stays_where_it_is(tmp_path: Path, target: Path) -> None:
    (target / "raw").mkdir(parents=True)
    file = trials.save(target / "raw" / "t.csv", trials.trial(800))
    proposal, _ = proposed(file, target)
    assert proposal.data == "raw/t.csv"
    assert not (target / "data").exists()


def test_the_same_file_gives_the_same_project(tmp_path: Path) -> None:
    file = trials.save(tmp_path / "t.csv", trials.trial(800))
    texts = []
    for folder in ("one", "two"):
        propose(file, tmp_path / folder / "mine")
        texts.append((tmp_path / folder / "mine" / "liftwerk.toml").read_bytes())
        shutil.rmtree(tmp_path / folder)
    assert texts[0] == texts[1]


_HEADS_TEXT = (
    "id email age name date city score clicks time x last_order channel price opened total value "
    "revenue spend conversion group prob y ß"
)
_HEADS = _HEADS_TEXT.split()


def _columns(random: np.random.Generator, rows: int) -> trials.Table:
    """Draw columns of any kind under names that may promise another."""
    kinds = [
        [f"k{i}" for i in range(rows)],
        [f"{i}@example.com" for i in range(rows)],
        random.choice(["0", "1"], rows).tolist(),
        random.choice(["control", "mail"], rows).tolist(),
        [f"{amount:.2f}" for amount in random.exponential(20, rows)],
        random.random(rows).tolist(),
        random.choice(["", "NA", "3"], rows).tolist(),
        [f"2024-01-{i % 28 + 1:02d}" for i in range(rows)],
        random.choice(["yes", "no"], rows).tolist(),
        [f"{i},5" for i in range(rows)],
        [f"€{i}" for i in range(rows)],
        random.choice(["{x}", "'q'", '"', "a\\"], rows).tolist(),
        [""] * rows,
    ]
    names = random.choice(_HEADS, random.integers(3, 9), replace=False)
    return {str(name): kinds[random.integers(len(kinds))] for name in names}


@pytest.mark.slow
def test_any_table_is_proposed_for_whole_or_refused_in_one_line(tmp_path: Path) -> None:
    rows = 60
    reasons: list[str] = []
    for seed in range(12):
        random = trials.rng(seed)
        table = _columns(random, rows)
        table["id"] = list(range(rows))
        table["arm"] = random.choice(["control", "mail"], rows).tolist()
        table["visit"] = random.choice([0, 1], rows).tolist()
        folder = tmp_path / f"{seed}"
        folder.mkdir()
        file = trials.save(folder / "t.csv", table, str(random.choice([",", ";"])))
        try:
            _, project = proposed(file, folder / "mine")
        except InputError as error:
            reasons.append(str(error))
            continue
        _imports_whole(project, folder, rows)
    assert len(reasons) <= 6
    assert not any("\n" in reason for reason in reasons)
