"""Cells of the coverage map for bandit-collected data: what each method says of simulated logs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from liftwerk.simulation import bandit_log
from liftwerk.stats.adaptive import Log, anytime_difference, difference, value
from liftwerk.stats.adaptive.contributions import row_scores
from liftwerk.stats.estimate import Estimate, Unknown
from tests.stats.coverage import Draw, Played, World

ARMS = ("a", "b", "c")
EYE = np.eye(bandit_log.ARMS)
CONTROL = EYE[0]
AT_A_TIME = 50
LOOKS = 7
Z = 1.959964


@dataclass(frozen=True)
class Cell:
    world: str
    outcome: str
    bandit: str
    contextual: bool = False
    batches: int = 50
    size: int = 200
    floor: float = 0.1
    decay: float = 0.0

    @property
    def name(self) -> str:
        segments = ""
        if self.contextual:
            segments = " by segment"
        rows = self.batches * self.size
        floor = f"floor {self.floor:g}"
        if self.decay:
            floor += f" t^-{self.decay:g}"
        return f"{self.world}, {self.outcome}, {self.bandit}{segments}, {rows} rows, {floor}"

    def logs(self, seed: int, count: int) -> Iterator[Log]:
        """Draw logs one by one."""
        return self.drawn(np.random.default_rng([seed, 80]), count)

    def drawn(self, rng: np.random.Generator, count: int) -> Iterator[Log]:
        for _ in range(0, count, AT_A_TIME):
            drawn = bandit_log.draw(
                rng,
                self.world,
                self.outcome,
                self.bandit,
                logs=min(AT_A_TIME, count),
                batches=self.batches,
                size=self.size,
                floor=self.floor,
                decay=self.decay,
                contextual=self.contextual,
            )
            for row in range(drawn.reward.shape[0]):
                chances = drawn.probabilities[row]
                action = drawn.action[row]
                own = chances[np.arange(action.shape[0]), action]
                yield Log(drawn.reward[row], action, own, drawn.batch, ARMS, chances)

    @property
    def truth(self) -> np.ndarray:
        return bandit_log.arm_values(self.world, self.outcome)


class Tally:
    """How often a method's interval held the truth, was refused, and how wide it was."""

    def __init__(self) -> None:
        self.held: list[bool] = []
        self.refused = 0
        self.errors: list[float] = []
        self.widths: list[float] = []

    def answer(self, answer: object, truth: float) -> None:
        if isinstance(answer, Unknown):
            self.refused += 1
            return
        self.interval(answer.low, answer.value, answer.high, truth)

    def interval(self, low: float, value: float, high: float, truth: float) -> None:
        self.held.append(low <= truth <= high)
        self.errors.append(value - truth)
        self.widths.append(high - low)

    def summary(self) -> dict[str, float | int | None]:
        total = len(self.held) + self.refused
        if not self.held:
            return {"answered": 0, "unknown": 1.0, "covered": None, "width": None, "bias": None}
        return {
            "answered": len(self.held),
            "unknown": round(self.refused / total, 4),
            "covered": round(float(np.mean(self.held)), 4),
            "width": float(np.median(self.widths)),
            "bias": round(float(np.mean(self.errors) / max(np.std(self.errors), 1e-12)), 3),
        }


def read(cell: Cell, seed: int, count: int) -> dict[str, dict[str, float | int | None]]:
    """Read `count` logs with each method; differences are to the control arm."""
    tallies: dict[str, Tally] = {}

    def tally(method: str, what: str) -> Tally:
        return tallies.setdefault(f"{method} {what}", Tally())

    for log in cell.logs(seed, count):
        for arm in range(3):
            what, truth = f"value {ARMS[arm]}", float(cell.truth[arm])
            tally("weighted", what).answer(value(log, EYE[arm]), truth)
            drawn = log.reward[log.action == arm]
            mean, half = drawn.mean(), Z * drawn.std() / np.sqrt(drawn.size)
            tally("naive", what).interval(mean - half, mean, mean + half, truth)
        for arm in (1, 2):
            what = f"difference {ARMS[arm]}"
            effect = float(cell.truth[arm] - cell.truth[0])
            found = difference(log, EYE[arm], CONTROL).estimate
            tally("weighted", what).answer(found, effect)
            for method, (estimate, error) in peers(log, arm).items():
                half = Z * error
                tally(method, what).interval(estimate - half, estimate, estimate + half, effect)
    return {name: found.summary() for name, found in tallies.items()}


def head(log: Log, n: int) -> Log:
    """Give what was known after n rows."""
    columns = (log.reward, log.action, log.probability, log.batch)
    return Log(*(column[:n] for column in columns), ARMS, log.probabilities[:n])


def peers(log: Log, arm: int) -> dict[str, tuple[float, float]]:
    """Estimate a difference as is usual, with standard errors: what does not hold here."""
    treated, control = log.reward[log.action == arm], log.reward[log.action == 0]
    error = np.sqrt(treated.var() / treated.size + control.var() / control.size)
    contrast = EYE[arm] - CONTROL
    ipw = contrast[log.action] / log.probability * log.reward
    aipw = row_scores(log, contrast)
    found = {"naive": (float(treated.mean() - control.mean()), float(error))}
    for name, scores in (("ipw", ipw), ("aipw", aipw)):
        found[name] = (float(scores.mean()), float(scores.std() / np.sqrt(log.n)))
    return found


def read_daily(cell: Cell, seed: int, count: int, looks: int) -> dict[str, float]:
    """Look at a difference many times: how often any interval missed, ours and the naive one's."""
    missed = {"anytime": 0, "naive": 0}
    answered = 0
    widths = []
    effect = float(cell.truth[2] - cell.truth[0])
    planned = cell.batches * cell.size
    for log in cell.logs(seed, count):
        wrong = {"anytime": False, "naive": False}
        for n in np.linspace(planned / looks, planned, looks).astype(int):
            so_far = head(log, n)
            found = anytime_difference(so_far, EYE[2], CONTROL, planned=planned).estimate
            if isinstance(found, Unknown):
                continue
            wrong["anytime"] |= not found.low <= effect <= found.high
            estimate, error = peers(so_far, 2)["naive"]
            wrong["naive"] |= abs(estimate - effect) > Z * error
        if not isinstance(found, Unknown):
            answered += 1
            widths.append(found.high - found.low)
        for method, one in wrong.items():
            missed[method] += one
    return {
        "answered_at_the_end": answered / count,
        "width": float(np.median(widths)),
        **{f"{method}_held_at_all_looks": 1.0 - missed[method] / count for method in missed},
    }


def play(cell: Cell, rng: np.random.Generator) -> Draw:
    """Read one log once, and its difference at several looks."""
    log = next(cell.drawn(rng, 1))
    effect = float(cell.truth[2] - cell.truth[0])
    looks = [
        (anytime_difference(head(log, n), EYE[2], CONTROL, planned=log.n).estimate, effect)
        for n in np.linspace(log.n / LOOKS, log.n, LOOKS).astype(int)
    ]
    found = {
        "bandit, value of an arm": judge([(value(log, EYE[2]), float(cell.truth[2]))]),
        "bandit, difference": judge([(difference(log, EYE[2], CONTROL).estimate, effect)]),
        f"anytime, {LOOKS} looks": judge(looks),
    }
    if cell.contextual:
        mean, error = peers(log, 2)["naive"]
        half = Z * error
        found["naive means"] = Played(True, abs(mean - effect) <= half, 2.0 * half)
    return found


def judge(answers: list[tuple[Estimate | Unknown, float]]) -> Played:
    held, answered, width = True, False, float("nan")
    for answer, truth in answers:
        answered = isinstance(answer, Estimate)
        if isinstance(answer, Estimate):
            held &= answer.low <= truth <= answer.high
            width = answer.high - answer.low
    return Played(answered, held, width)


def _worlds() -> Iterator[World]:
    """The rows of the map: nothing works, and arms that harm or that depend on the segment."""
    for cell in (
        Cell("", "noise", "epsilon_greedy"),
        Cell("", "click", "thompson", floor=0.3),
        Cell("", "click", "thompson", contextual=True, floor=0.3),
        Cell("", "noise", "thompson", floor=0.3, decay=0.5),
    ):
        other = "harm"
        if cell.contextual:
            other = "flips"
        for world in ("nothing_works", other):
            here = replace(cell, world=world)
            effect = float(here.truth[2] / here.truth[0] - 1.0)
            name = cell.name.removeprefix(", ")
            yield World("bandit", name, effect, True, partial(play, here))


WORLDS = tuple(_worlds())
