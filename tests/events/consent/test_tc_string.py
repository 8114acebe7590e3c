from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from liftwerk.events.consent.tc_string import (
    LONGEST,
    REQUIRE_CONSENT,
    REQUIRE_INTEREST,
    Restriction,
    TcString,
    Vendors,
    read_tc_string,
)
from tests.events.consent.tc_strings import ROWS, WHOLE, ids

VENDORS = range(1500)


def numbered(vendors: Vendors | None) -> set[int] | None:
    if vendors is None:
        return None
    return {vendor for vendor in VENDORS if vendor in vendors}


def shown(said: TcString | None) -> dict[str, Any] | None:
    """Say what was read as the data file does, with sets for lists of ids."""
    if said is None:
        return None
    restrictions: dict[str, set[int]] = {}
    for one in said.restrictions:
        covered = {vendor for vendor in VENDORS if one.covers(one.purpose, vendor)}
        restrictions.setdefault(f"{one.purpose} {one.kind}", set()).update(covered)
    return {
        "updated": said.updated.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "cmp": said.cmp,
        "list": said.vendor_list,
        "policy": said.policy,
        "purposes": set(said.purposes),
        "interests": set(said.interests),
        "vendors": numbered(said.vendors),
        "interest_vendors": numbered(said.interest_vendors),
        "disclosed": numbered(said.disclosed),
        "restrictions": restrictions,
    }


def expected(decoded: dict[str, Any] | None) -> dict[str, Any] | None:
    if decoded is None:
        return None
    wanted = dict(decoded)
    for key in ("vendors", "interest_vendors", "disclosed"):
        if wanted[key] is not None:
            wanted[key] = ids(wanted[key])
    wanted["restrictions"] = {key: ids(value) for key, value in wanted["restrictions"].items()}
    wanted["purposes"] = set(wanted["purposes"])
    wanted["interests"] = set(wanted["interests"])
    return wanted


def test_the_data_hold_what_they_should() -> None:
    decoded = [row["decoded"] for row in WHOLE]
    assert len(ROWS) == 210
    assert sum(row["decoded"] is None for row in ROWS) >= 50
    assert sum(bool(one["restrictions"]) for one in decoded) >= 50
    assert sum(one["disclosed"] is not None for one in decoded) >= 40


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_it_reads_what_iabs_library_reads(number: int) -> None:
    row = ROWS[number]
    assert shown(read_tc_string(row["text"])) == expected(row["decoded"])


def test_what_is_torn_off_is_never_a_yes() -> None:
    """A reader that takes missing bits for set ones would grant everything here."""
    for row in WHOLE[:40]:
        core = row["text"].partition(".")[0]
        for length in range(len(core)):
            said = read_tc_string(core[:length])
            if said is not None:  # only filling was lost
                assert said.purposes == set(row["decoded"]["purposes"])
                assert len(core) - length < 4


@given(st.text())
@example("")
@example(".")
@example("C" * 100_000)
@example("CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA..")
@example(" CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA")
@example("CPXxRfAPXxRfAAfKABENB+CgAAAAAAAAAAYgAAAAAAAA")
@example("٣PXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA")
@settings(max_examples=300, deadline=None)
def test_other_text_says_nothing(text: str) -> None:
    assert read_tc_string(text) is None


@given(
    st.sampled_from([row["text"] for row in WHOLE]), st.binary(max_size=300), st.integers(0, 400)
)
@settings(max_examples=500, deadline=None)
def test_any_bits_give_a_result_or_none(text: str, noise: bytes, at: int) -> None:
    spoiled = base64.urlsafe_b64encode(b"\x08" + noise).decode().rstrip("=")
    for tried in (
        spoiled,
        text[:at] + spoiled,
        text[:at] + spoiled + text[at:],
        f"{text}.{spoiled}",
    ):
        said = read_tc_string(tried)
        assert said is None or isinstance(said, TcString)


def test_the_worst_string_is_read_in_bounded_time() -> None:
    """As many and as wide ranges as there is room for, in the segment that is read last."""
    text = WHOLE[0]["text"]
    room = (LONGEST - len(text) - 1) // 4 * 24
    count = (room - 3 - 16 - 1 - 12) // 33
    bits = f"001{65535:016b}1{count:012b}" + f"1{1:016b}{65535:016b}" * count
    bits += "0" * (-len(bits) % 24)
    raw = int(bits, 2).to_bytes(len(bits) // 8, "big")
    hostile = f"{text}.{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"
    assert LONGEST - 40 < len(hostile) <= LONGEST
    began = time.perf_counter()
    said = read_tc_string(hostile)
    assert time.perf_counter() - began < 1
    assert said is not None
    assert said.disclosed is not None
    assert len(said.disclosed.ranges) == count
    assert read_tc_string(hostile + "." + "A" * LONGEST) is None


def test_a_vendor_is_asked_too() -> None:
    """Consent, legitimate interest, restrictions and disclosure, as IAB's policy has them."""
    said = read_tc_string(WHOLE[0]["text"])
    assert said is not None
    plain = TcString(
        said.updated,
        cmp=1,
        vendor_list=1,
        policy=5,
        purposes=frozenset({1, 2, 7}),
        interests=frozenset({1, 2, 7}),
        vendors=Vendors(9, field=0b000010000),
        interest_vendors=Vendors(9, ranges=((5, 6),)),
        restrictions=(
            Restriction(2, REQUIRE_INTEREST, ((5, 5),)),
            Restriction(7, REQUIRE_CONSENT, ((1, 9),)),
        ),
        disclosed=Vendors(9, ranges=((1, 5),)),
    )
    assert [plain.consents(purpose) for purpose in (1, 2, 7, 8)] == [True, True, True, False]
    assert [plain.consents(purpose, 5) for purpose in (1, 2, 7)] == [True, False, True]
    assert [plain.consents(1, vendor) for vendor in (0, 4, 6, 99)] == [False] * 4
    # Purpose 1 knows no legitimate interest, whatever the string says.
    assert [plain.admits_interest(purpose) for purpose in (1, 2, 7)] == [False, True, True]
    assert [plain.admits_interest(purpose, 5) for purpose in (1, 2, 7)] == [False, True, False]
    assert plain.admits_interest(2, 6) is False  # never shown to the customer
