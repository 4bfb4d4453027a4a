"""A hospital with six patients, two of whom have slides, and a study that looks at them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from client.prepare.preparation import prepare
from client.prepare.settings import PrepareSettings
from shared.site import Site, read_site
from shared.study import Study, parse_study
from shared.weights import new_model, take_arrays
from tests.federation import CONTENT, write_site
from tests.slide_files import tissue_pixels, write_pyramid

SLIDES = {"encoder": "resnet18", "weights": "random", "mpp": 0.5, "tile": 64, "max_patches": 12}


@dataclass(frozen=True)
class Hospital:
    """A prepared site and where a trained model lies."""

    site: Site
    run: Path

    def model(self, study: Study) -> Path:
        """Weights for a study as a run saves its model, large enough to matter; gene statistics beside them."""
        path = self.run / f"{study.digest[:8]}" / "model.safetensors"
        path.parent.mkdir(exist_ok=True)
        rng = np.random.default_rng(0)
        arrays = take_arrays(new_model(study))
        save_file({name: rng.normal(0, 0.5, a.shape).astype(np.float32) for name, a in arrays.items()}, path)
        genes = study.modalities.expression
        if genes is not None:
            width = len({gene for group in genes.groups.values() for gene in group})
            table = np.stack([np.full(width, 6.0), np.ones(width)])
            save_file({"gene_statistics": table}, path.with_name("gene_stats.safetensors"))
        return path


def slide_study(architecture: str = "s1_crossattn", **sections: object) -> Study:
    """A study of slides, genes and clinical columns; one store serves every architecture."""
    model: dict[str, object] = {"architecture": architecture}
    if architecture != "linear":
        model["dim"] = 16
    modalities = {**CONTENT["modalities"], "slides": SLIDES}
    return parse_study({**CONTENT, "name": "looking", "model": model, "modalities": modalities, **sections})


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    folder = tmp_path_factory.mktemp("heatmap")
    file = write_site(folder / "A", (2, 2, 2), sections='[compute]\nprecision = "fp32"\nengine = "torch"\n')
    slides = folder / "A" / "data" / "slides"
    slides.mkdir()
    for seed, name in enumerate(("first", "second", "third")):
        write_pyramid(slides / f"{name}.svs", tissue_pixels(320, 320, seed), downsamples=(1,))
    rows = ["case_id\tslide_id", "PATIENT-A-000\tfirst", "PATIENT-A-001\tsecond", "PATIENT-A-001\tthird"]
    (slides.parent / "slides.tsv").write_text("\n".join(rows) + "\n")
    site = read_site(file)
    prepare(site, PrepareSettings.of(slide_study()))
    return Hospital(site, tmp_path_factory.mktemp("runs"))
