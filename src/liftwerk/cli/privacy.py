"""`consent`: what a customer agreed to, and a change of their mind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from liftwerk.cli import show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, open_project, out
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt

if TYPE_CHECKING:
    from liftwerk.governance import consent as rights
else:
    rights = LazyModule("liftwerk.governance.consent")

consent = App(
    name="consent",
    help="What customers agreed to.",
    help_format="plaintext",
    group="Governance",
)
app.command(consent)

Purposes = Annotated[list[str], Parameter(name="--purpose", negative="")]


@consent.command(name="show")
def show_(customer: str, /, *, common: Common = DEFAULTS) -> None:
    """Show what holds for a customer by purpose, and how it came about.

    Parameters
    ----------
    customer
        The customer's identifier: VALUE, or NAMESPACE:VALUE.
    """
    with open_project(common) as project:
        found = rights.show_customer(project.definitions, project.stores, customer)

    def render() -> None:
        rows = [
            [
                one["purpose"],
                one["basis"].replace("_", " "),
                one["state"],
                fmt.moment(one["since"]),
                show.verdict("yes" if one["permitted"] else "no"),
            ]
            for one in found["state"]
        ]
        show.table("What holds now", ["purpose", "basis", "state", "since", "may be used?"], rows)
        if not found["history"]:
            return
        out.print()
        cells = [
            [
                fmt.moment(one["time"]),
                fmt.moment(one["known_at"]),
                one["purpose"],
                one["change"],
                one["event"],
                one["consent_source"] or "–",
                one["version"] or "–",
            ]
            for one in found["history"]
        ]
        columns = ["when", "known", "purpose", "change", "told by", "consent", "version"]
        show.table("How it came about", columns, cells)

    emit(common, found, render)


@consent.command
def withdraw(customer: str, /, *, purpose: Purposes, common: Common = DEFAULTS) -> None:
    """Withdraw a customer's consent, or object in their name, from now on.

    Parameters
    ----------
    customer
        The customer's identifier: VALUE, or NAMESPACE:VALUE.
    purpose
        A declared purpose; repeat it for more.
    """
    _change(customer, [], purpose, common)


@consent.command
def grant(customer: str, /, *, purpose: Purposes, common: Common = DEFAULTS) -> None:
    """Note that a customer agreed, from now on; it lifts an earlier withdrawal.

    Parameters
    ----------
    customer
        The customer's identifier: VALUE, or NAMESPACE:VALUE.
    purpose
        A declared purpose; repeat it for more.
    """
    _change(customer, purpose, [], common)


def _change(customer: str, granted: list[str], withdrawn: list[str], common: Common) -> None:
    with open_project(common) as project:
        given = (project.definitions, project.stores, customer, granted, withdrawn)
        done: dict[str, Any] = rights.change_customer(*given, project.actor, project.clock)

    def render() -> None:
        if granted:
            out.print(f"granted: {', '.join(granted)}, for what happens from now on")
        if withdrawn:
            out.print(f"withdrawn: {', '.join(withdrawn)}")
        out.print(f"identifiers of the customer it was told of: {fmt.number(done['identifiers'])}")
        if done["counts"]:
            out.print("next: liftwerk run, to learn again with it")
            return
        out.print("another process holds the home: it counts from its next compaction on")

    emit(common, done, render)
