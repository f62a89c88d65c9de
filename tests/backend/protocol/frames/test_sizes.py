"""Texts that are split to fit into frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.protocol.frames import CHUNK_BYTES, encode_chunk, split_text


@given(st.text(), st.integers(1_024, 2_000), st.booleans())
def test_parts_of_a_text_fit_and_make_the_whole(text: str, max_bytes: int, escapes: bool) -> None:
    text *= 60
    parts = list(split_text(text, max_bytes - CHUNK_BYTES, escapes=escapes))
    assert "".join(parts) == text
    for part in parts:
        assert len(encode_chunk("i" * 64, part, 2**53 - 1, 19).encode()) <= max_bytes


@pytest.mark.parametrize("character", ["x", "é", "字", "😀", "\0", '"', "\\", "\n", "\x7f"])
def test_nearly_all_of_the_room_is_used(character: str) -> None:
    parts = list(split_text(character * 50_000, 7_820))
    sizes = [len(encode_chunk(None, part, 0).encode()) for part in parts]
    assert max(sizes) <= 8_000
    assert min(sizes[:-1]) > 6_500
