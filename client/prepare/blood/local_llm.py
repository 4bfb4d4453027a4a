"""Blood results in the words of a language model that the site keeps on its own disk; nothing leaves the machine.

The model sees the template's sentences and is asked to put them together. What it writes is checked by `validator.py`;
a text that fails is replaced by the template's, and the report says so. Decoding is greedy (temperature 0), and every
text is kept in the state folder under the SHA-256 of the model and the prompt, so that a second run reads it.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from client.prepare.blood import template
from client.prepare.blood.quiet import quiet_transformers
from client.prepare.blood.results import Result
from client.prepare.blood.validator import fault
from client.prepare.report import PrepareReport
from shared.cohort.drafts import replacing
from shared.digests import canonical_json, sha256_file, sha256_json
from shared.errors import SiteFileError

__all__ = ["LlmDescriber", "model_digest", "open_llm", "prompt"]

MAX_NEW_TOKENS = 512

REQUEST = (
    "Summarise these abnormal blood results of one patient as a short clinical description in plain English. Name "
    "every analyte below, copy its numbers and units exactly, and add no other analyte, number, diagnosis or advice."
)


def prompt(rows: Sequence[Result]) -> str:
    """What the model is asked: the request, then the template's sentences, one a line."""
    return "\n".join([REQUEST, *(f"- {template.sentence(row)}" for row in template.abnormal(rows)), "Description:"])


class LlmDescriber:
    """A describer over `write` (prompt -> text), with the memory in `folder`.

    Patients without an abnormal result get the template's sentence; the model is not asked about them.
    """

    def __init__(self, write: Callable[[str], str], model: str, folder: Path, report: PrepareReport) -> None:
        self._write, self._model, self._folder, self._report = write, model, folder, report

    def __call__(self, rows: Sequence[Result]) -> str:
        """The model's text if it passes the validator, else the template's; the latter is recorded."""
        if not template.abnormal(rows):
            return template.NONE_ABNORMAL
        question = prompt(rows)
        name = sha256_json({"model": self._model, "prompt": question})
        path = self._folder / f"{name}.json"
        text = _kept(path)
        if text is None:
            text = " ".join(self._write(question).split())
            self._folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as draft:
                draft.touch(mode=0o600)
                draft.write_text(canonical_json({"text": text, "refused": fault(text, rows)}), encoding="utf-8")
        refused = fault(text, rows)
        if not refused:
            return text
        reason = f"the language model's text was not used: {refused}; the template's is ({name[:12]})"
        self._report.add("blood.csv", "noted", reason)
        return template.describe(rows)


def model_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of the model's files."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    return sha256_json({path.name: sha256_file(path) for path in files})


def open_llm(folder: Path, device: str) -> Callable[[str], str]:
    """Prompt -> text with the model in `folder` (safetensors only), loaded at the first call.

    Raises
    ------
    SiteFileError
        On that call: the folder holds no causal model that transformers can load.
    """
    loaded: list[tuple[Any, Any]] = []

    def write(question: str) -> str:
        if not loaded:
            loaded.append(_load(folder, device))
        return _generate(*loaded[0], question)

    return write


def _load(folder: Path, device: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, KeyError, RuntimeError) as exc:
        raise SiteFileError(
            f"{folder}: expected a causal language model in safetensors with its tokenizer, got "
            f"{type(exc).__name__}; correct [blood] llm in the site file"
        ) from exc
    place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    return tokenizer, model.to(place).eval()


def _generate(tokenizer: Any, model: Any, question: str) -> str:
    import torch
    from transformers import GenerationConfig

    if tokenizer.chat_template:
        question = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
        )
    tokens = tokenizer(question, return_tensors="pt", add_special_tokens=not tokenizer.chat_template).to(model.device)
    known = model.generation_config  # only its special tokens: sampling settings of the model's makers do not apply
    settings = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        num_beams=1,
        max_new_tokens=MAX_NEW_TOKENS,
        bos_token_id=known.bos_token_id,
        eos_token_id=known.eos_token_id,
        pad_token_id=known.pad_token_id if known.pad_token_id is not None else tokenizer.pad_token_id,
    )
    with torch.inference_mode():
        ids = model.generate(**tokens, generation_config=settings)
    return str(tokenizer.decode(ids[0, tokens["input_ids"].shape[1] :], skip_special_tokens=True))


def _kept(path: Path) -> str | None:
    """The text kept in `path`; None when there is none, or the file is damaged."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["text"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
