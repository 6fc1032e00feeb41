from __future__ import annotations

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from services.predictor.model import identity

TIMES = st.integers(0, 2**48 - 1)
CHANCES = st.binary(min_size=10, max_size=10)


@given(TIMES, CHANCES)
def test_an_id_is_a_uuid_of_version_7_with_its_time_and_all_that_was_drawn(at: int, chance: bytes) -> None:
    made = UUID(identity(at, chance))
    assert (made.version, made.variant, made.int >> 80) == (7, RFC_4122, at)
    drawn = int.from_bytes(chance, "big")
    assert (made.int & (1 << 62) - 1, made.int >> 64 & 0xFFF) == (drawn & (1 << 62) - 1, drawn >> 68)


@given(TIMES, TIMES, CHANCES, CHANCES)
def test_ids_stand_in_the_order_of_their_times(one: int, other: int, chance: bytes, another: bytes) -> None:
    if one != other:
        assert (identity(one, chance) < identity(other, another)) == (one < other)
