"""Draw a radiograph: what X-rays lose on their way through limb, bone and lesion.

Aggression alone changes the lesion's look, never its size or place: at 0 a well-defined hole with a sclerotic rim
(geographic); about .5 septa and a blown-up thin shell; at 1 an ill-defined, moth-eaten border, spicules of periosteal
reaction and a mass in the soft tissue.
"""

import numpy as np
from numpy.typing import NDArray

from simulations.synthetic.bone.scene import SHAPE, Scene
from simulations.synthetic.textures import FIELD, fibres, grain

__all__ = ["render_radiograph"]

FloatField = NDArray[np.float32]  # SHAPE


def render_radiograph(scene: Scene, aggression: float, rng: np.random.Generator) -> FloatField:
    """Absorption of every pixel, SHAPE: 0 = air, about 1 = the shaft's cortex seen edge on."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    across = np.abs(columns - (scene.axis + scene.tilt * (rows - SHAPE[0] / 2)))
    radius = _half_width(scene, rows)
    lesion = _lesion_distance(scene, rows, columns)
    between = 4 * aggression * (1 - aggression)
    bulge = 14 * between * np.exp(-(((rows - scene.lesion[0]) / (scene.radius * scene.elongation)) ** 2))
    radius = np.where(radius > 0, radius + bulge, 0)
    bone = _bone(scene, rows, across, radius, rng)
    hole = _hole(lesion, aggression, rng)
    inside = np.clip(radius - across, 0, 3) / 3
    picture = bone * (1 - 0.78 * hole)
    picture += inside * _rim(lesion, aggression)
    picture += inside * hole * between * 0.28 * _septa(rng)
    picture += _reaction(scene, rows, across - radius, lesion, aggression, rng)
    limb = np.sqrt(np.clip(1 - (across / (2.9 * scene.shaft)) ** 2, 0, 1))
    picture += limb * (0.30 + 0.02 * _cut(grain(24.0), rng))
    return picture[::-1] if scene.flipped else picture


def _half_width(scene: Scene, rows: FloatField) -> FloatField:
    """Half width of the bone in every row: shaft, flare towards the joint, rounded end; 0 beyond it."""
    from_joint = rows - scene.joint
    share = np.clip(1 - from_joint / (0.55 * SHAPE[0]), 0, 1)
    wide = scene.shaft * (1 + (scene.flare - 1) * share * share * (3 - 2 * share))
    cap = 0.45 * scene.shaft * scene.flare
    end = np.sqrt(np.clip(1 - (1 - np.clip(from_joint / cap, 0, 1)) ** 2, 0, 1))
    half: FloatField = np.where(from_joint > 0, wide * end, 0).astype(np.float32)
    return half


def _bone(
    scene: Scene, rows: FloatField, across: FloatField, radius: FloatField, rng: np.random.Generator
) -> FloatField:
    """A tube seen from the side: chords through the cortex, and marrow with trabeculae towards the joint."""
    share = np.clip((rows - scene.joint) / (0.5 * SHAPE[0]), 0, 1)
    thickness = scene.shaft * scene.cortex * (0.30 + 0.70 * share)
    outer = np.sqrt(np.clip(radius**2 - across**2, 0, None))
    inner = np.sqrt(np.clip(np.clip(radius - thickness, 0, None) ** 2 - across**2, 0, None))
    lattice = 0.6 * _cut(fibres()[0], rng) + 0.6 * _cut(fibres()[4], rng) + 0.3 * _cut(grain(1.6), rng)
    marrow = inner * (0.30 + (1 - share) * 0.35) * (1 + 0.28 * lattice)
    tube: FloatField = (1.15 * (outer - inner) + marrow) / scene.shaft
    return tube


def _lesion_distance(scene: Scene, rows: FloatField, columns: FloatField) -> FloatField:
    """Distance from the lesion's centre as a multiple of its border's: 1 on the border."""
    y, x = (rows - scene.lesion[0]) / scene.elongation, columns - scene.lesion[1]
    distance: FloatField = (np.hypot(y, x) / scene.border(np.arctan2(y, x))).astype(np.float32)
    return distance


def _hole(lesion: FloatField, aggression: float, rng: np.random.Generator) -> FloatField:
    """Share of bone that is gone, 0 to 1: sharp at low aggression, moth-eaten with a wide border at high."""
    eaten = 0.16 * _cut(grain(4.0), rng) + 0.16 * _cut(grain(8.0), rng)
    border = (1 - lesion + aggression**1.5 * eaten) / (0.025 + 0.20 * aggression**2)
    gone = 1 / (1 + np.exp(-np.clip(4 * border, -30, 30)))
    patchy = np.clip(1 - 0.55 * aggression + 0.55 * aggression * _cut(grain(4.0), rng), 0, 1.1)
    hole: FloatField = np.clip(gone * patchy, 0, 1)
    return hole


def _rim(lesion: FloatField, aggression: float) -> FloatField:
    """The sclerotic ring of a slow lesion."""
    ring: FloatField = 0.75 * (1 - aggression) ** 1.5 * np.exp(-(((lesion - 1.03) / 0.065) ** 2))
    return ring


def _septa(rng: np.random.Generator) -> FloatField:
    """Thin bright walls, 0 to 1: where a smooth field changes sign."""
    walls: FloatField = np.exp(-((_cut(grain(8.0), rng) / 0.18) ** 2))
    return walls


def _reaction(
    scene: Scene, rows: FloatField, outside: FloatField, lesion: FloatField, aggression: float, rng: np.random.Generator
) -> FloatField:
    """New bone outside the cortex (`outside` > 0) beside an aggressive lesion, and its soft-tissue mass."""
    strength = np.clip((aggression - 0.45) / 0.55, 0, 1)
    near = np.exp(-(((rows - scene.lesion[0]) / (1.15 * scene.radius * scene.elongation)) ** 4))
    reach = np.clip(outside, 0, None)
    spicules = 0.5 + 0.5 * np.sin(2 * np.pi * rows / 7 + 0.5 * _cut(grain(8.0), rng))
    layers = 0.5 + 0.5 * np.cos(2 * np.pi * reach / 5)
    formed = (0.75 * spicules + 0.25 * layers) * np.exp(-reach / 9) * np.clip(outside, 0, 1)
    cloud = np.clip(_cut(grain(8.0), rng), 0, None) * np.exp(-(lesion**4))
    mass = np.exp(-((lesion / 1.7) ** 4)) * np.clip(outside / 4, 0, 1)
    reaction: FloatField = strength * (0.85 * near * formed + 0.35 * cloud + 0.22 * mass)
    return reaction


def _cut(field: FloatField, rng: np.random.Generator) -> FloatField:
    """A random window of a noise field, SHAPE."""
    y, x = (int(rng.integers(FIELD - side)) for side in SHAPE)
    return field[y : y + SHAPE[0], x : x + SHAPE[1]]
