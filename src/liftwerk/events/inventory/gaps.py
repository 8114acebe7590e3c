"""What is missing: declared and never seen, seen and not declared, and what cannot be used."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from liftwerk.events.columns import LEAF
from liftwerk.events.inventory.shapes import (
    EventFacts,
    Gap,
    IdentifierFacts,
    Seen,
    SourceFacts,
)
from liftwerk.events.inventory.violations import Violations

_TABLE = re.compile(r"(.*)_v([0-9]+)")


def find_gaps(
    events: Sequence[EventFacts],
    sources: Sequence[SourceFacts],
    identifiers: Sequence[IdentifierFacts],
    purposes: Sequence[str],
    refused: Violations,
    kept: Mapping[str, Sequence[str]],
) -> Iterator[Gap]:
    """Find what is missing.

    Parameters
    ----------
    events, sources, identifiers : sequences
        What is declared and seen.
    purposes : sequence of str
        Purposes that rest on consent; where there are none, no event needs consent state.
    refused : Violations
        What was refused.
    kept : mapping of str to sequence of str
        What the tables hold that is not declared (`liftwerk.events.inventory.seen`).

    Yields
    ------
    Gap
        By kind, in the order of `liftwerk.events.inventory.shapes.GapKind`.
    """
    yield from _never_seen(events, sources, identifiers)
    yield from _not_declared(refused, kept)
    for event in events:
        if event.unique and event.without_customer:
            yield Gap(
                "order without customer",
                f"{event.name}: {_of(event.without_customer, event.seen.events)} name no customer,"
                " only a visitor",
                event=event.name,
                count=event.without_customer,
                of=event.seen.events,
            )
    if purposes:
        yield from _without_consent(events, sources)
    for source in sources:
        if source.silence.state == "silent":
            words = f"{source.name}: {source.silence.because}"
            yield Gap("source fell silent", words, source=source.name)


def _never_seen(
    events: Sequence[EventFacts],
    sources: Sequence[SourceFacts],
    identifiers: Sequence[IdentifierFacts],
) -> Iterator[Gap]:
    for event in events:
        if not event.built_in and not event.seen.events:
            words = f"{event.name}: declared, and never seen{_only_tests(event.seen)}"
            yield Gap("event never seen", words, event=event.name)
    for event in events:
        many = event.seen.events
        for one in event.properties:
            if many and one.nulls == many and not event.built_in:
                words = f"{event.name}.{one.name}: declared, and empty in all {many:,} events"
                yield Gap(
                    "property never seen", words, event=event.name, field=one.name, count=many
                )
    for space in identifiers:
        if not space.events:
            words = f"identifiers.{space.name}: declared, and in no event"
            yield Gap("identifier never seen", words, field=space.name)
    for source in sources:
        if source.kind is not None and not source.seen.events:
            words = f"{source.name}: declared, and nothing came from it{_only_tests(source.seen)}"
            yield Gap("source never seen", words, source=source.name)


def _only_tests(seen: Seen) -> str:
    if seen.synthetic:
        return f" but in {seen.synthetic:,} of test traffic"
    return ""


def _not_declared(refused: Violations, kept: Mapping[str, Sequence[str]]) -> Iterator[Gap]:
    found: defaultdict[int, list[Gap]] = defaultdict(list)
    for one, many in sorted(refused.undeclared.items(), key=lambda item: (-item[1], str(item[0]))):
        times = f"refused {many:,} times"
        if many == 1:
            times = "refused once"
        if one.field is None:
            words = f"{one.event}: not declared, {times}"
            found[0].append(Gap("event not declared", words, event=one.event, count=many))
        elif one.is_identifier:
            words = f"identifiers.{one.field}: not declared, {times} in {one.event}"
            found[2].append(
                Gap(
                    "identifier not declared",
                    words,
                    event=one.event,
                    field=one.field,
                    count=many,
                )
            )
        else:
            words = f"{one.event}.{one.field}: not declared, {times}"
            found[1].append(
                Gap("field not declared", words, event=one.event, field=one.field, count=many)
            )
    for table, columns in kept.items():
        event = table
        if (named := _TABLE.fullmatch(table)) is not None:
            event = named[1]
        if not columns:
            words = f"{event}: rows are kept ({table}), and it is not declared any more"
            found[0].append(Gap("event not declared", words, event=event))
        for column in columns:
            words = f"{event}.{column}: values are kept ({table}), and it is not declared any more"
            if column.startswith(LEAF):
                name = column.removeprefix(LEAF)
                gap = Gap("identifier not declared", words, event=event, field=name)
                found[2].append(gap)
            else:
                found[1].append(Gap("field not declared", words, event=event, field=column))
    for place in sorted(found):
        yield from found[place]


def _without_consent(events: Iterable[EventFacts], sources: Iterable[SourceFacts]) -> Iterator[Gap]:
    for event in events:
        for source, seen in event.sources.items():
            for reason, many in (
                ("without consent state", seen.consent.missing),
                ("with consent state that could not be read", seen.consent.unreadable),
            ):
                if many:
                    words = f"{event.name} from {source}: {_of(many, seen.consent.events)} {reason}"
                    yield Gap(
                        "event without consent state",
                        words,
                        event=event.name,
                        source=source,
                        count=many,
                        of=seen.consent.events,
                    )
    for one in sources:
        if one.sessions_without_consent:
            words = (
                f"{one.name}: {_of(one.sessions_without_consent, one.sessions)} sessions have no"
                " event with consent state"
            )
            yield Gap(
                "session without consent state",
                words,
                source=one.name,
                count=one.sessions_without_consent,
                of=one.sessions,
            )


def _of(count: int, total: int) -> str:
    return f"{count:,} of {total:,}"
