"""The ledger: what people and machines did to definitions, data and releases.

A change and its audit entry are one transaction, and the entries form a hash chain that names
people only by a random key. It also keeps what must move together with such an entry: snapshots,
steps, leases, releases, pointers, keys, published schemas, definitions that were put to use, the
experiments' log, the effect register, erasures and their tombstones. What any of it means is left
to the rooms that make it.
"""

from liftwerk.store.ledger.experiments import EXPERIMENT_ACTIONS, EffectRow, ExperimentEntry
from liftwerk.store.ledger.protocol import (
    STAGES,
    AuditCheck,
    AuditEntry,
    Erasing,
    Erasure,
    Key,
    Ledger,
    PublishedSchema,
    Release,
    Snapshot,
    Step,
    Transaction,
    UsedDefinition,
)

LEDGERS = {"sqlite": "liftwerk.store.ledger.kinds.sqlite:SqliteLedger"}
"""URL scheme -> where the kind is; one line a kind."""

__all__ = [
    "EXPERIMENT_ACTIONS",
    "LEDGERS",
    "STAGES",
    "AuditCheck",
    "AuditEntry",
    "EffectRow",
    "Erasing",
    "Erasure",
    "ExperimentEntry",
    "Key",
    "Ledger",
    "PublishedSchema",
    "Release",
    "Snapshot",
    "Step",
    "Transaction",
    "UsedDefinition",
]
