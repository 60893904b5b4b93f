"""Sample reports from invented numbers; no real patient. Pictures and dots are drawn here, the rest is JSON."""

import base64
import copy
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from radiocard.report.schema import CohortReport, PatientReport

FOLDER = Path(__file__).parent
CLASSES = ("DCM", "HCM", "MINF", "NOR", "RV")


def png_base64(grey: np.ndarray) -> str:
    """Encode a (rows, columns) array of uint8 as PNG with the standard library alone."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.tobytes() for row in grey.astype(np.uint8))
    head = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return base64.b64encode(data).decode()


def circle(centre: float, radius: float) -> list[tuple[float, float]]:
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    x, y = (centre + 0.5 + radius * f(angle) for f in (np.cos, np.sin))
    return list(zip(x.round(2).tolist(), y.round(2).tolist(), strict=True))


def slice_picture(level: str, phase: str) -> dict:
    size, scale = 64, {"basal": 1.0, "mid": 0.85, "apical": 0.6}[level] * (0.85 if phase == "es" else 1.0)
    y, x = np.mgrid[:size, :size] - size / 2
    distance = np.hypot(x, y)
    grey = np.where(distance < 13 * scale, 200, np.where(distance < 18 * scale, 80, 40 + 15 * np.sin(x / 5)))
    return {
        "level": level,
        "phase": phase,
        "slice_number": {"basal": 2, "mid": 5, "apical": 8}[level],
        "png_base64": png_base64(grey),
        "width_px": size,
        "height_px": size,
        "pixel_mm": (1.5, 1.5),
        "contours": {"lv_endo": [circle(size / 2, 13 * scale)], "lv_epi": [circle(size / 2, 18 * scale)]},
        "letters": {"left": "R", "right": "L", "top": "A", "bottom": "P"},
    }


def patient_data() -> dict:
    data = json.loads((FOLDER / "sample_patient.json").read_text(encoding="utf-8"))
    data["images"]["slices"] = [slice_picture(level, p) for p in ("ed", "es") for level in ("basal", "mid", "apical")]
    rng = np.random.default_rng(1)
    for feature in data["why"]["features"]:
        feature["strip"] = {k: rng.normal(feature["value"], 1.0, 9).round(2).tolist() for k in CLASSES}
        feature["medians"] = {k: float(np.median(v)) for k, v in feature["strip"].items()}
    return data


def cohort_data() -> dict:
    data = json.loads((FOLDER / "sample_cohort.json").read_text(encoding="utf-8"))
    rng = np.random.default_rng(2)
    for check in data["data"]["checks"]:
        check["groups"] = {k: [dot(f"P{20 * j + i + 1:04d}", rng) for i in range(4)] for j, k in enumerate(CLASSES)}
    grid = np.linspace(0, 1, 6).round(2).tolist()
    for kind, power in (("roc", 0.2), ("precision_recall", 0.0)):
        area = {"value": 0.9, "low": 0.85, "high": 0.95}
        points = [(x, round(x**power, 3)) for x in grid]
        data["performance"][kind][0]["curves"] = [{"label": k, "points": points, "area": area} for k in CLASSES]
    for row in data["reasons"]["beeswarms"][0]["rows"]:
        row["points"] = [(round(float(v), 3), round(float(v), 3)) for v in rng.uniform(size=10)]
    return data


def dot(case: str, rng: np.random.Generator) -> dict:
    value = round(float(rng.normal(40, 15)), 2)
    return {"case": case, "value": value, "flagged": value > 50, "href": f"patients/{case}.html"}


@pytest.fixture(scope="session")
def patient_sample() -> dict:
    return patient_data()


@pytest.fixture(scope="session")
def cohort_sample() -> dict:
    return cohort_data()


@pytest.fixture(scope="session")
def make_patient(patient_sample):
    return lambda **changes: PatientReport.model_validate(copy.deepcopy(patient_sample) | changes)


@pytest.fixture(scope="session")
def make_cohort(cohort_sample):
    return lambda **changes: CohortReport.model_validate(copy.deepcopy(cohort_sample) | changes)
