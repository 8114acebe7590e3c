"""Runs the collector under the numbered load and kills it, part by part, at random moments."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tests.system.collector import KEYS, Server
from tests.system.numbered.client import visitors_of
from tests.system.numbered.events import CHUNK, Kind, draw
from tests.system.numbered.truth import Truth, check

PROJECT = Path(__file__).with_name("liftwerk.toml")
SETTLE_SECONDS = 60.0
"""How soon after the last kill nearly everything must be acknowledged."""

UNMERGE_SECONDS = 240.0
"""How long those who are still to be told apart may take: a sequencer that was killed again and
again is begun anew ever later, and before they are in the tables there is nobody to tell apart."""

TARGETS = {"server": 0.2, "worker": 0.4, "sequencer": 0.4}


class Load:
    """The client's process, and the last that it said."""

    def __init__(self, port: int, seed: int, chunks: int, persons: int, file: Path) -> None:
        numbers = map(str, (port, seed, chunks, persons))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.system.numbered.client", *numbers, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.said: dict[str, Any] = {"sent": 0, "acknowledged": 0, "done": False}
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said = json.loads(line)

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended; says whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def end_early(self) -> None:
        """Begin nothing more."""
        assert self.process.stdin is not None
        self.process.stdin.write("end\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it, whatever it is at."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._thread.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


class Run:
    """A collector, its load, and what was killed."""

    def __init__(self, folder: Path, seed: int, events: int, kills: int, seconds: float) -> None:
        self.rng = random.Random(seed)
        self.seed = seed
        self.chunks = max(4, -(-events // CHUNK // 2) * 2)
        self.persons = max(40, self.chunks // 10)
        self.kills = kills
        self.deadline = time.monotonic() + seconds
        self.project = folder / "shop"
        self.project.mkdir(parents=True)
        (self.project / "liftwerk.toml").write_text(PROJECT.read_text())
        self.file = folder / "acknowledged.npz"
        self.errors = folder / "stderr"
        self.killed: Counter[str] = Counter()
        self.told_apart: list[int] = []
        self.unmerging: tuple[int, ...] = ()
        self.server = self._serve(0)
        self.port = self.server.port
        self.load = Load(self.port, seed, self.chunks, self.persons, self.file)
        self._over = threading.Event()
        self._unmerging = threading.Thread(target=self._tell_apart)

    def _serve(self, port: int) -> Server:
        with open(self.errors, "a") as errors:
            only = ("--only", "collect", "--workers", "2")
            return Server(self.project, *only, port=port, errors=errors)

    def kill_often(self) -> None:
        """Kill as often as was asked, spread over the load."""
        self._unmerging.start()
        total = self.chunks * CHUNK
        moments = sorted(self.rng.uniform(0.02, 0.97) for _ in range(self.kills))
        began, whole = time.monotonic(), self.deadline - time.monotonic()
        for number, moment in enumerate(moments):
            # By the clock where the machine is too slow for all that was asked.
            self._reached(moment * total, began + moment * whole)
            self._kill(self._target())
            if number % 10 == 9:
                self._log(f"{number + 1} kills")

    def _reached(self, acknowledged: float, latest: float) -> None:
        while self.load.said["acknowledged"] < acknowledged and not self.load.said["done"]:
            if time.monotonic() > latest:
                return
            time.sleep(0.01)

    def _target(self) -> str:
        [target] = self.rng.choices([*TARGETS], [*TARGETS.values()])
        return target

    def _kill(self, target: str) -> None:
        if target == "server":
            self.killed[target] += 1
            self.server.kill()
            self.server = self._serve(self.port)
            return
        victims = self.server.workers()
        if target == "sequencer":
            victims = self._sequencers()
        while not victims:  # killed, and not begun anew yet
            time.sleep(0.02)
            assert self.server.process.poll() is None, "the server has ended by itself"
            victims = self.server.workers() + self.server.sequencers()
        # It may have ended since, by itself.
        with suppress(ProcessLookupError):
            os.kill(self.rng.choice(victims), signal.SIGKILL)
            self.killed[target] += 1

    def _sequencers(self) -> list[int]:
        """Who sorts into tables just now: `unmerge` does it too. Else who will next."""
        known = [*self.server.sequencers(), *self.unmerging]
        try:
            note = json.loads((self.project / ".liftwerk" / "lock").read_bytes())
        except (OSError, ValueError):  # nobody does
            return known
        return [pid for pid in known if pid == note["pid"]] or known

    def _tell_apart(self) -> None:
        """Tell some visitors apart with the command, killing it now and then."""
        rows = draw(self.seed, 0, visitors_of(self.chunks))
        linked = (rows.kind == Kind.VIEW) & (rows.customer >= 0) & (rows.visitor % 10 > 4)
        pairs = zip(rows.visitor[linked].tolist(), rows.customer[linked].tolist(), strict=True)
        several = list(dict(pairs).items())[: max(2, self.kills // 20)]
        for number, (visitor, customer) in enumerate(several):
            # The first is not killed: that it worked shows that the chunk is in the tables.
            was_killed = number == 0
            is_in_doubt = False
            while is_in_doubt or not self._over.is_set():
                names = (f"visitor:v{visitor}", f"customer:c{customer}")
                running = self._call(["identity", "unmerge", *names, "--reason", "a shared device"])
                if number:
                    self.unmerging = (running.pid,)
                if not was_killed:
                    time.sleep(self.rng.uniform(0.5, 3.0))
                    running.kill()
                code = running.wait()
                self.unmerging = ()
                self.killed["unmerge"] += code == -signal.SIGKILL
                # What was killed may have been told, and counts then: that is found out, also when
                # the load is over.
                is_in_doubt |= code == -signal.SIGKILL
                was_killed |= is_in_doubt
                if code == 0 or (code == 1 and is_in_doubt):
                    self.told_apart.append(visitor)
                    break
                # Not sorted into the tables yet, or another sequencer holds the home.
                self._over.wait(self.rng.uniform(0.1, 0.5))

    def _call(self, command: list[str]) -> subprocess.Popen[bytes]:
        with open(self.errors, "a") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "liftwerk.cli", *command, "--project", str(self.project)],
                env={**os.environ, **KEYS},
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def finish(self) -> dict[str, Any]:
        """Let everything be acknowledged and sorted, and tell what was found."""
        if time.monotonic() > self.deadline:
            self.load.end_early()
        last = time.monotonic()
        self.load.wait(SETTLE_SECONDS)
        settled = dict(self.load.said)
        share = settled["acknowledged"] / max(1, settled["sent"])
        self._log("the kills are over")
        if not self.load.wait(max(1.0, self.deadline - time.monotonic())):
            self.load.end_early()
            self.load.wait(600)
        said = self.load.said
        self._log(f"the load is over ({said['done']})")
        self._unmerging.join(UNMERGE_SECONDS)
        self._over.set()  # one that is being told apart is finished, no other begun
        self._unmerging.join()
        drained = self.server.stop()
        compacted = self._call(["events", "compact"]).wait()
        self._log("everything is sorted into tables")
        with np.load(self.file) as file:
            acknowledged = file["acknowledged"]
        begun = said["begun"]
        self._log(f"{begun} chunks of {self.chunks}, told apart {self.told_apart}")
        truth = Truth(self.seed, self.chunks, self.persons, begun, acknowledged, self.told_apart)
        return {
            "seed": self.seed,
            "events": begun * CHUNK,
            "sent": said["sent"],
            "acknowledged": said["acknowledged"],
            "share acknowledged within 60 s": round(share, 4),
            "seconds after the last kill": round(time.monotonic() - last, 1),
            "killed": dict(self.killed),
            "told apart": len(self.told_apart),
            "statuses": said["statuses"],
            "surprises": said["surprises"],
            "exit codes": [drained, compacted],
            "found": check(self.project, truth),
        }

    def close(self) -> None:
        """End what still runs."""
        self._over.set()
        self.load.kill()
        if self.server.process.poll() is None:
            self.server.kill()

    def _log(self, words: str) -> None:
        said = self.load.said
        at = time.strftime("%H:%M:%S")
        line = f"{at} {words}: {said['acknowledged']:,} of {said['sent']:,} acknowledged"
        print(f"{line}; {dict(self.killed)}", file=sys.stderr, flush=True)


MUST_BE_NONE = (
    "damaged files",
    "left in the inbox",
    "in quarantine",
    "acknowledged and lost",
    "doubled",
    "never sent",
    "other than sent",
    "readable without consent",
    "permitted and not readable",
    "conversions doubled",
    "of another customer",
    "features that differ",
    "metrics that differ",
)


def what_is_wrong(told: dict[str, Any]) -> list[str]:
    """Say which promises a run broke; nothing when all were kept."""
    wrong = [f"{key}: {told['found'][key]}" for key in MUST_BE_NONE if told["found"][key]]
    if told["surprises"]:
        wrong.append(f"surprises: {told['surprises']}")
    if told["exit codes"] != [0, 0]:
        wrong.append(f"exit codes: {told['exit codes']}")
    if told["acknowledged"] != told["sent"]:
        wrong.append("not everything was acknowledged in the end")
    if told["share acknowledged within 60 s"] < 0.95:
        wrong.append("too little was acknowledged within 60 s")
    return wrong


def kill_and_check(
    folder: Path, seed: int, events: int, kills: int, seconds: float
) -> dict[str, Any]:
    """Send events while the collector is killed, and check every one of them.

    Parameters
    ----------
    folder : Path
        An empty one.
    seed : int
        Below 2**32.
    events : int
        How many to send.
    kills : int
    seconds : float
        When to begin nothing more, whatever was asked.
    """
    run = Run(folder, seed, events, kills, seconds)
    try:
        run.kill_often()
        return run.finish()
    finally:
        run.close()
