"""All slides of a site: which patient each belongs to, what became of it, and the bags in the store."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch

from client.prepare.encoders import Encoder, build_encoder
from client.prepare.fingerprint import FileHashes
from client.prepare.patients import Roster
from client.prepare.report import PrepareReport
from client.prepare.slides import encode_slide, is_encoded
from shared.cohort.store_files import read_bag_attributes
from shared.cohort.tables import SLIDE_SUFFIXES, read_slides
from shared.errors import EncoderError, SlideError
from shared.site import Site
from shared.study import Slides

__all__ = ["Bags", "prepare_slides"]


@dataclass
class Bags:
    """The slide files of a store."""

    encoder_sha256: str = ""
    slides: dict[str, list[str]] = field(default_factory=dict)  # patient key -> slide ids in order
    patches: dict[str, int] = field(default_factory=dict)  # slide id -> patches


@dataclass(frozen=True)
class Job:
    """One slide to encode."""

    key: str
    case_id: str
    slide_id: str
    source: Path
