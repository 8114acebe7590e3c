"""Every kind of pack: one file each, and this list.

To add one: write its file, name it here, and name it in ``liftwerk.features.packs.pack``.
"""

from __future__ import annotations

from liftwerk.features.packs.kinds.affinity import AFFINITY
from liftwerk.features.packs.kinds.channel import CHANNEL
from liftwerk.features.packs.kinds.cohort import COHORT
from liftwerk.features.packs.kinds.engagement import ENGAGEMENT
from liftwerk.features.packs.kinds.lifecycle import LIFECYCLE
from liftwerk.features.packs.kinds.rfm import RFM
from liftwerk.features.packs.kinds.session import SESSION

__all__ = ["PACKS"]

PACKS = {
    pack.name: pack for pack in (RFM, ENGAGEMENT, AFFINITY, CHANNEL, SESSION, LIFECYCLE, COHORT)
}
