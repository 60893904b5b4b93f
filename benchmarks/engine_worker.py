"""One engine in its own process, told by ``engines.py`` what to run; one JSON line in, one out.

Not for use by hand. A worker answers ``{"task", "image", "mask"}`` with the seconds that the
engine took; arrays are read and objects made before the clock starts, but for the task
``patient``, which runs from files.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any

from memory import peak_mb

LABELS = {"rv_cavity": 1, "lv_myocardium": 2, "lv_cavity": 3}
LOG_SIGMA = [1.0, 2.0, 3.0]
Job = Callable[[], object]


def radiocard(request: dict[str, Any]) -> Job:
    """Run the native engine with PyRadiomics' parameter file and names."""
    from radiocard.features.extract import extract_case_texture, extract_region
    from radiocard.image import Case, Image
    from radiocard.io.nifti import read_image, read_label_map
    from radiocard.specs import read_spec

    spec = read_spec(request["parameters"])
    if request["task"] == "patient":

        def patient() -> object:
            images, masks = {}, {}
            for phase, image, mask in request["files"]:
                images["cine", phase] = read_image(image, case="1", field="image")
                masks["cine", phase] = read_label_map(mask, LABELS, case="1", field="mask")
            return extract_case_texture(Case("1", images, masks), spec)

        return patient
    image = read_image(request["image"], case="1", field="image")
    mask = read_image(request["mask"], case="1", field="mask").array > 0
    fresh = Image(image.array.copy(), image.affine)
    return lambda: extract_region(fresh, mask, spec)


def pyradiomics(request: dict[str, Any], *, well: bool = False) -> Job:
    """Run PyRadiomics as its documentation shows, or (``well``) cropped and without provenance."""
    import SimpleITK as sitk

    radiomics = import_module("radiomics")
    radiomics.setVerbosity(50)
    extractor = import_module("radiomics.featureextractor").RadiomicsFeatureExtractor(request["parameters"])
    if well:
        extractor.settings["additionalInfo"] = False

    def region(image: Any, mask: Any, label: int) -> object:
        if well:
            pad = 12 if request["task"] == "filters" else 0
            image, mask = _cropped(sitk, image, mask, label, pad)
        return extractor.execute(image, mask, label=label)

    if request["task"] == "patient":

        def patient() -> object:
            out = []
            for _, image, mask in request["files"]:
                if well:
                    image, mask = sitk.ReadImage(image), sitk.ReadImage(mask)
                out += [region(image, mask, label) for label in LABELS.values()]
            return out

        return patient
    image, mask = sitk.ReadImage(request["image"]), sitk.ReadImage(request["mask"])
    return lambda: region(image, mask, 1)


def pyradiomics_well(request: dict[str, Any]) -> Job:
    """See :func:`pyradiomics`."""
    return pyradiomics(request, well=True)


def _cropped(sitk: Any, image: Any, mask: Any, label: int, pad: int) -> tuple[Any, Any]:
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(mask)
    box = shape.GetBoundingBox(label)
    size = image.GetSize()
    start = [max(0, box[n] - pad) for n in range(3)]
    stop = [min(size[n], box[n] + box[n + 3] + pad) for n in range(3)]
    extent = [b - a for a, b in zip(start, stop, strict=True)]
    return sitk.RegionOfInterest(image, extent, start), sitk.RegionOfInterest(mask, extent, start)


def pictologics(request: dict[str, Any]) -> Job:
    """Run the families that PyRadiomics has, fixed bin size 25 from 0, in space."""
    peer = import_module("pictologics")
    peer.set_num_threads(1)
    pipeline = peer.RadiomicsPipeline(deduplicate=False)
    features = {
        "step": "extract_features",
        "params": {
            "families": ["intensity", "morphology", "texture", "histogram"],
            "include_local_intensity": False,
            "include_spatial_intensity": False,
        },
    }
    bins = {"step": "discretise", "params": {"method": "FBS", "bin_width": 25.0, "min_val": 0.0}}
    filters: list[dict[str, Any] | None] = [None]
    if request["task"] == "filters":
        bands = [a + b + c for a in "LH" for b in "LH" for c in "LH"]
        filters += [{"type": "wavelet", "wavelet": "coif1", "level": 1, "decomposition": band} for band in bands]
        filters += [{"type": "log", "sigma_mm": sigma} for sigma in LOG_SIGMA]
    names = []
    for n, chosen in enumerate(filters):
        own = {"method": "FBN", "n_bins": 16} if chosen else bins["params"]
        steps = [{"step": "discretise", "params": own}, features]
        if chosen:
            steps = [{"step": "filter", "params": chosen}, *steps]
        pipeline.add_config(f"c{n}", steps, validate=False)
        names.append(f"c{n}")
    if request["task"] == "patient":

        def patient() -> object:
            out = []
            for _, image, mask in request["files"]:
                loaded, labels = peer.load_image(image), peer.load_image(mask)
                for label in LABELS.values():
                    one = _replaced(labels, labels.array == label)
                    out.append(pipeline.run(loaded, one, config_names=names))
            return out

        return patient
    image, mask = peer.load_image(request["image"]), peer.load_image(request["mask"])
    return lambda: pipeline.run(image, mask, config_names=names)


def _replaced(image: Any, mask: Any) -> Any:
    from dataclasses import replace

    return replace(image, array=mask.astype("float32"))


def nyxus(request: dict[str, Any]) -> Job:
    """Run all 3D features from files; the reader is part of the time."""
    engine = import_module("nyxus").Nyxus3D(["*3D_ALL*"], n_feature_calc_threads=1)
    return lambda: engine.featurize_files([request["image"]], [request["mask"]], False)


def mirp(request: dict[str, Any]) -> Job:
    """Run all features in space, fixed bin size 25, from files."""
    peer = import_module("mirp")
    return lambda: peer.extract_features(
        image=request["image"],
        mask=request["mask"],
        by_slice=False,
        base_discretisation_method="fixed_bin_size",
        base_discretisation_bin_width=25.0,
        resegmentation_intensity_range=[0.0, 100000.0],
    )


ENGINES = {
    "radiocard": (radiocard, "radiocard"),
    "PyRadiomics": (pyradiomics, "pyradiomics"),
    "PyRadiomics, called well": (pyradiomics_well, "pyradiomics"),
    "pictologics": (pictologics, "pictologics"),
    "nyxus": (nyxus, "nyxus"),
    "MIRP": (mirp, "mirp"),
}


def main() -> None:
    """Answer requests until standard input ends, or run the one given and print the peak memory [MB]."""
    make, package = ENGINES[sys.argv[1]]
    if len(sys.argv) > 2:
        make(json.loads(sys.argv[2]))()
        print(peak_mb())
        return
    print(json.dumps({"version": version(package)}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            job = make(request)
            start = time.perf_counter()
            result = job()
            answer: dict[str, Any] = {"seconds": time.perf_counter() - start, "n": _size(result)}
        except Exception as error:  # a peer that fails is a result
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), flush=True)


def _size(result: Any) -> int:
    try:
        return len(result)
    except TypeError:
        return 0


if __name__ == "__main__":
    main()
