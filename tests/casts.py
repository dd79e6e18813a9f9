"""Casts at several places of a sea whose anomalies are large at the surface and small below."""

import numpy as np

from da4dvar.fields.points import Points

START = np.datetime64("2020-06-01", "ns")


def temperature(depth: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Temperature of a thermocline, with anomalies of 2 K at the surface and 0.1 K below 100 m."""
    size = 0.1 + 1.9 * np.exp(-((depth / 50) ** 2))
    return 5 + 17 * np.exp(-depth / 40) + size * np.sin(2 * lat) * np.cos(1.5 * lon)


def casts(number: int = 60, seed: int = 0, noise: float = 0.02) -> Points:
    """Casts of two ships within ten days, each with 14 levels down to 200 m."""
    generator = np.random.default_rng(seed)
    depth = np.array([0, 5, 10, 15, 20, 30, 40, 50, 65, 80, 100, 130, 160, 200.0])
    at = generator.uniform(0, 4, (number, 2))
    lat, lon = (np.repeat(a, depth.size) for a in (40 + at[:, 0], at[:, 1]))
    z = np.tile(depth, number)
    value = temperature(z, lat, lon) + noise * generator.standard_normal(z.size)
    hours = np.sort(generator.uniform(0, 240, number))
    time = START + (hours * 3600).astype("m8[s]")
    return Points(
        "temp",
        value,
        np.repeat(time, depth.size),
        lat,
        lon,
        z,
        platform=np.repeat([f"ship{k % 2}" for k in range(number)], depth.size),
        attrs={"units": "degree_Celsius", "standard_name": "sea_water_temperature"},
        depth_attrs={"name": "depth", "units": "m", "positive": "down", "standard_name": "depth"},
    )
