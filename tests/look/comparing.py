"""Compares a picture of the page with its reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops

COLOURS = 128
"""Colours of a reference: its palette keeps the files small."""

TOLERANCE = 72
"""Difference of a colour channel, of 255, that the palette or smoothing explains."""

LARGEST_AREA = 60
"""Pixels of a picture that may differ by more: fewer than a short word has."""

MARK = (220, 0, 60)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result for one picture."""

    different: int
    """Number of pixels that differ; all of them if the sizes do."""
    picture: Image.Image
    """The new picture, pale, with the differing pixels marked."""

    @property
    def is_same(self) -> bool:
        """Whether the picture is the reference, within the tolerance."""
        return self.different <= LARGEST_AREA


def compare(reference: Image.Image, fresh: Image.Image) -> Comparison:
    """Compare a new picture, reduced to a palette in the same way, with its reference."""
    fresh = reduced(fresh).convert("RGB")
    if reference.size != fresh.size:
        return Comparison(fresh.width * fresh.height, fresh)
    bands = ImageChops.difference(reference.convert("RGB"), fresh).split()
    largest = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    mask = largest.point([0] * (TOLERANCE + 1) + [255] * (255 - TOLERANCE))
    different = mask.histogram()[255]
    pale = Image.blend(fresh, Image.new("RGB", fresh.size, "white"), 0.6)
    pale.paste(MARK, mask=mask)
    return Comparison(different, pale)


def save_reference(picture: Image.Image, file: Path) -> None:
    """Write a picture with a palette."""
    reduced(picture).save(file, optimize=True)


def reduced(picture: Image.Image) -> Image.Image:
    """Return a picture with a palette: rare colours become similar ones."""
    return picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
