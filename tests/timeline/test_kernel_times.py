"""Is a call the same after it was written and read?"""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from llmprof.timeline.kernel_times import FORMATS, KINDS, KernelCall, call_of_json, to_json

SIZES = st.lists(st.integers(1, 256), min_size=1, max_size=4).map(tuple)  # below MOST_ELEMENTS, four of them too
CALLS = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.builds(
        KernelCall,
        kind=st.just(kind),
        way=st.sampled_from(KINDS[kind]),
        number_format=st.sampled_from(FORMATS),
        dims=st.lists(SIZES, min_size=2, max_size=4).map(tuple),
        bias=st.booleans(),
        causal=st.booleans(),
        groups=st.integers(1, 64),
        stride=SIZES,
        padding=st.lists(st.integers(0, 7), max_size=3).map(tuple),
        image_gradient=st.booleans(),
    )
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["kind", "way", "dims", "groups"]), inner)
    ),
    max_leaves=12,
)


@given(CALLS)
def test_a_call_is_the_same_after_writing_and_reading(call: KernelCall) -> None:
    assert call_of_json(json.loads(json.dumps(to_json(call)))) == call


@given(JSON)
def test_anything_else_is_no_call(value: object) -> None:
    assert call_of_json(value) is None


@given(JSON, st.sampled_from(["kind", "way", "dims", "number_format", "bias", "groups", "stride", "padding"]))
def test_a_call_with_anything_in_one_place_is_read_or_refused(value: object, place: str) -> None:
    plain = to_json(KernelCall(kind="product", dims=((2, 2), (2, 2)), number_format="bf16", way="nn"))
    found = call_of_json({**plain, place: value})
    assert found is None or call_of_json(to_json(found)) == found
