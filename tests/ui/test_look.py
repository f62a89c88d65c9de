"""The comparison of pictures that ``make look`` uses."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

from tests.look.comparing import LARGEST_AREA, MARK, compare, save_reference


def picture(*rectangles: tuple[int, int, int, int]) -> Image.Image:
    """Return a picture with a gradient, which a palette does not hold exactly, and rectangles."""
    image = Image.linear_gradient("L").resize((200, 100)).convert("RGB")
    draw = ImageDraw.Draw(image)
    for rectangle in rectangles:
        draw.rectangle(rectangle, fill=(0, 90, 200))
    return image


def loaded(file: Path) -> Image.Image:
    with Image.open(file) as image:
        return image.copy()


def test_the_same_picture_is_the_reference_in_its_palette(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    save_reference(picture((10, 10, 50, 30)), file)
    found = compare(loaded(file), picture((10, 10, 50, 30)))
    assert found.is_same
    assert found.different == 0


def test_what_differs_is_counted_and_marked(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    save_reference(picture(), file)
    found = compare(loaded(file), picture((10, 60, 29, 69)))
    assert found.different == 200 > LARGEST_AREA
    assert not found.is_same
    assert found.picture.getpixel((15, 65)) == MARK
    assert found.picture.getpixel((100, 65)) != MARK


def test_a_few_pixels_are_tolerated_but_no_other_size(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    save_reference(picture(), file)
    assert compare(loaded(file), picture((10, 60, 14, 64))).is_same
    assert not compare(loaded(file), picture().crop((0, 0, 200, 99))).is_same
