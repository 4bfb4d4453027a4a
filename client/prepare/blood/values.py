"""A laboratory's result as it stands in the file, read as a number: `12.5`, `<0.3`, `1,234.5`, `312 H`.

Rules. A comma or dot counts as thousands mark only where the digits leave no other reading, and a number that has two
readings (`1,234`) is refused. A limit (`<0.3`, `>1000`) keeps its side; `results.py` decides whether it can be used.
Flags after the number (H, LL, *, ...) are the laboratory's comparison with its interval and are dropped. Anything else,
words included, is refused.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from shared.errors import CohortError

__all__ = ["Bound", "Reading", "has_decimal_comma", "parse_limit", "parse_number", "parse_value", "shown"]

Bound = Literal["", "<", ">"]
"""What is known of the result: it is the number, lies below it, or above it."""

BOUNDS: dict[str, Bound] = {"": "", "<": "<", "<=": "<", "≤": "<", ">": ">", ">=": ">", "≥": ">"}
RESULT = re.compile(r"(?P<bound><=|>=|[<>≤≥]?)\s*(?P<number>[^\s*!]*)[\s*!]*(?P<flag>[HLNA]{0,2})[\s*!]*")
SIGN, EXPONENT = "[+-]?", "(?:[eE][+-]?[0-9]{1,3})?"
PLAIN = re.compile(rf"{SIGN}(?:[0-9]+\.?[0-9]*|\.[0-9]+){EXPONENT}")
COMMA_AMBIGUOUS = re.compile(rf"{SIGN}[1-9][0-9]{{0,2}},[0-9]{{3}}")
DOT_AMBIGUOUS = re.compile(rf"{SIGN}[1-9][0-9]{{0,2}}\.[0-9]{{3}}")
DECIMAL_COMMA = re.compile(
    rf"{SIGN}(?:0,[0-9]+|[0-9]+,(?:[0-9]{{1,2}}|[0-9]{{4,}})|[0-9]{{4,}},[0-9]+|[1-9][0-9]{{0,2}}(?:\.[0-9]{{3}})+,[0-9]+)"
    + EXPONENT
)
COMMA_THOUSANDS = re.compile(rf"{SIGN}[1-9][0-9]{{0,2}}(?:(?:,[0-9]{{3}}){{2,}}(?:\.[0-9]*)?|,[0-9]{{3}}\.[0-9]*)")
DOT_THOUSANDS = re.compile(rf"{SIGN}[1-9][0-9]{{0,2}}(?:\.[0-9]{{3}}){{2,}}")
LONGEST_SHOWN = 16


@dataclass(frozen=True)
class Reading:
    """A finite number, and what is known of the result."""

    number: float
    bound: Bound = ""


def parse_value(text: str, *, decimal_commas: bool = False) -> Reading:
    """Read a result. `decimal_commas`: the file has some, so that `1.234` has two readings and is refused too.

    Raises
    ------
    CohortError
        No number, two readings, or not finite; a reason for prepare-report.csv.
    """
    match = RESULT.fullmatch(text.replace("\u00a0", " ").replace("\u2212", "-").strip())
    if match is None:
        raise CohortError(f"expected a number as value, got {shown(text)}; correct it")
    return Reading(parse_number(match["number"], "value", decimal_commas, shown(text)), BOUNDS[match["bound"]])


def parse_limit(text: str, name: str, side: Bound, *, decimal_commas: bool = False) -> float:
    """Read one end of a reference interval; `side` is the sign that laboratories write before it (`<5`, `> 1.2`).

    Raises
    ------
    CohortError
        As `parse_value`.
    """
    signs = [sign for sign, bound in BOUNDS.items() if bound == side and sign]
    number = text.strip()
    sign = next((sign for sign in sorted(signs, key=len, reverse=True) if number.startswith(sign)), "")
    return parse_number(number.removeprefix(sign).strip(), name, decimal_commas, shown(text))


def parse_number(text: str, name: str, decimal_commas: bool, got: str) -> float:
    """Read a number with `.` or `,`; `name` and `got` stand in the reason when it is refused."""
    if COMMA_AMBIGUOUS.fullmatch(text) or (decimal_commas and DOT_AMBIGUOUS.fullmatch(text)):
        raise CohortError(f"expected one way to read the {name}, got {got}; write it without thousands marks")
    if DECIMAL_COMMA.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    elif COMMA_THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    elif DOT_THOUSANDS.fullmatch(text):
        text = text.replace(".", "")
    if not PLAIN.fullmatch(text) or not abs(number := float(text)) < float("inf"):
        raise CohortError(f"expected a number as {name}, got {got}; correct it")
    return number


def has_decimal_comma(texts: Iterable[str]) -> bool:
    """Whether some number can only be read with a comma as decimal mark."""
    return any("," in text and DECIMAL_COMMA.fullmatch(text.strip(" <>=≤≥*!HLNA")) for text in texts)


def shown(text: str) -> str:
    """A cell as a reason quotes it: longer text may be a comment that names somebody, so only its length is told."""
    return repr(text) if len(text) <= LONGEST_SHOWN else f"a text of {len(text)} characters"
