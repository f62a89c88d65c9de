"""Sizes of images are read from their headers, however large they claim to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backend.files.samples import gif, jpeg, png, webp
from wireside.files.images import pixel_size
from wireside.files.media_types import IMAGES

HEADERS = {
    "image/png": png(640, 480),
    "image/jpeg": jpeg(640, 480, preview_bytes=300_000),
    "image/gif": gif(640, 480),
    "image/webp": webp(b"VP8X", 640, 480),
}


@pytest.mark.parametrize("media_type", sorted(IMAGES))
def test_the_declared_size_is_read(media_type: str) -> None:
    assert pixel_size(media_type, HEADERS[media_type]) == (640, 480)


@pytest.mark.parametrize("kind", [b"VP8X", b"VP8L", b"VP8 "])
def test_all_kinds_of_webp(kind: bytes) -> None:
    assert pixel_size("image/webp", webp(kind, 16_000, 9)) == (16_000, 9)


def test_a_pixel_bomb_tells_its_size() -> None:
    assert pixel_size("image/png", png(2**31 - 1, 2**31 - 1)) == (2**31 - 1, 2**31 - 1)
    assert pixel_size("image/jpeg", jpeg(65_535, 65_535)) == (65_535, 65_535)


def test_an_image_without_pixels_is_damaged() -> None:
    assert pixel_size("image/png", png(0, 5)) is None
    assert pixel_size("image/gif", gif(5, 0)) is None


@given(media_type=st.sampled_from(sorted(IMAGES)), data=st.data())
def test_any_damage_is_an_answer(media_type: str, data: st.DataObject) -> None:
    head = bytearray(HEADERS[media_type][:2_000])
    for _ in range(data.draw(st.integers(0, 4))):
        head[data.draw(st.integers(0, len(head) - 1))] = data.draw(st.integers(0, 255))
    size = pixel_size(media_type, bytes(head[: data.draw(st.integers(0, len(head)))]))
    assert size is None or min(size) > 0


@given(st.sampled_from(sorted(IMAGES)), st.binary(max_size=200))
def test_any_bytes_are_an_answer(media_type: str, head: bytes) -> None:
    pixel_size(media_type, head)
