"""The engraved rosette of a certificate, drawn from the digest of an entry's record: no two are alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

#: Units of the drawing: a square of so many, the centre in its middle.
SIDE = 2000
_CENTRE = SIDE / 2
#: Curves of one wave: enough that nobody sees where they meet.
_CURVES = 3


@dataclass(frozen=True)
class Ring:
    """One closed line that goes round `turns` times while it waves `waves` times between two radii.

    phase, bend_phase: radians. bend: how far a slow wave of `bends` periods carries the line to and fro, in units.
    """

    middle: float
    swing: float
    waves: int
    turns: int
    phase: float
    bend: float
    bends: int
    bend_phase: float


@dataclass(frozen=True)
class Rosette:
    """Each as the `d` of an SVG path in a square of `SIDE` units. seal: dense, to be set small. ground: wide, faint."""

    seal: str
    ground: str


def rosette(digest: bytes) -> Rosette:
    """What a digest draws. digest: 32 bytes, of which each has its part."""
    if len(digest) != 32:
        raise ValueError("a digest has 32 bytes")
    # All rings swing to and fro equally often: petals instead of noise.
    bends = (6, 7, 8, 9, 10, 12)[sum(digest) % 6]
    outer = _line(_ring(digest[0:8], bends, middle=850, swing=104, turns=7))
    middle = _line(_ring(digest[8:16], bends, middle=664, swing=132, turns=9))
    inner = _line(_ring(digest[16:24], bends, middle=472, swing=96, turns=7))
    wide = _line(_ring(digest[24:32], bends, middle=600, swing=320, turns=5))
    return Rosette(seal=outer + middle + inner, ground=outer + wide)


def _ring(part: bytes, bends: int, *, middle: float, swing: float, turns: int) -> Ring:
    waves = 32 + part[0] % 26
    # A line that closes too soon would draw the same wave over and over: turns and waves share no divisor.
    while math.gcd(waves, turns) > 1:
        waves += 1
    return Ring(
        middle=middle,
        swing=swing * (0.72 + 0.28 * part[1] / 255),
        waves=waves,
        turns=turns,
        phase=_angle(part[2:4]),
        bend=swing * 0.28 * (part[4] + 1) / 256,
        bends=bends,
        bend_phase=_angle(part[5:8]),
    )


def _angle(part: bytes) -> float:
    return math.tau * int.from_bytes(part, "big") / (1 << 8 * len(part))


def svg(drawn: str, *, colour: str, width: float) -> str:
    """An SVG document of what `rosette` drew. colour: `#rrggbb`. width: of the lines, in units of the drawing."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}"><path fill="none" stroke="{colour}"'
        f' stroke-width="{width}" stroke-linejoin="round" d="{drawn}"/></svg>'
    )


def _line(ring: Ring) -> str:
    """Cubic curves from point to point, in whole units: the same text on every machine."""
    points = _points(ring)
    x, y, ahead_x, ahead_y = next(points)
    steps = [f"M{x} {y}c"]
    for to_x, to_y, next_x, next_y in points:
        back_x, back_y = to_x - x - next_x, to_y - y - next_y
        steps.append(f"{ahead_x} {ahead_y} {back_x} {back_y} {to_x - x} {to_y - y} ")
        x, y, ahead_x, ahead_y = to_x, to_y, next_x, next_y
    return "".join([*steps, "z"])


def _points(ring: Ring) -> Iterator[tuple[int, int, int, int]]:
    """Where the curves meet, the first one twice, and from there to the first control point: x, y, dx, dy."""
    count = ring.waves * _CURVES
    around, along = math.tau * ring.turns / count, math.tau / _CURVES
    for at in range(count + 1):
        turn, wave = around * at, along * at + ring.phase
        slow = ring.bends * turn + ring.bend_phase
        cos, sin = math.cos(turn), math.sin(turn)
        radius = ring.middle + ring.swing * math.sin(wave) + ring.bend * math.cos(slow)
        growth = ring.swing * math.cos(wave) * along - ring.bend * math.sin(slow) * ring.bends * around
        dx, dy = growth * cos - radius * sin * around, growth * sin + radius * cos * around
        yield round(_CENTRE + radius * cos), round(_CENTRE + radius * sin), round(dx / 3), round(dy / 3)
