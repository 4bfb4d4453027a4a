"""Whether a text about blood results says no more than they do (SEEDS.md section 3, 5).

A text is refused when it names an analyte or a number that the results do not hold, leaves out one that is abnormal, or
calls elevated in a sentence what is reduced. Refusing too much costs a nicer sentence; refusing too little would give
the model an invented result. So words that merely look like an analyte (ending in -ase, -emia, -penia, ...;
abbreviations in capitals) are refused too. Which number stands beside which analyte is not checked.
"""

import re
from collections.abc import Sequence
from functools import cache

from client.prepare.blood.results import Result
from client.prepare.blood.template import abnormal, sentence
from shared.cohort.blood import Analyte, blood_panel, panel_analyte

__all__ = ["LONGEST", "OTHER_ANALYTES", "fault"]

LONGEST = 4000
"""Characters a text may have: 22 sentences and some."""

OTHER_ANALYTES = (
    "acid phosphatase|ammonia|antithrombin|bicarbonate|bilirubin|blood sugar|blood urea|calcitonin|carbon dioxide|"
    "chloride|cholesterol|copper|cortisol|creatine|cystatin|electrolytes|eosinophil|erythrocyte|estradiol|ferritin|"
    "folate|folic acid|glucose|haematocrit|haptoglobin|hematocrit|homocysteine|immunoglobulin|insulin|interleukin|iron|"
    "ketone|lactate|lactic acid|lipid|lipoprotein|magnesium|osmolality|oxygen|parathyroid hormone|potassium|prealbumin|"
    "procalcitonin|progesterone|prolactin|prothrombin|red blood cell|red cell|reticulocyte|sodium|testosterone|"
    "thrombin time|thromboplastin|thyroxine|total protein|transferrin|transthyretin|triglyceride|troponin|urea|vitamin|"
    "zinc"
)
"""Names of analytes beyond the panel that reports on oncology patients are likely to hold, as a pattern."""

SUFFIX = re.compile(
    r"\w*(?:ases?|a?emias?|a?emic|penias?|penic|cytos[ei]s|cytes?|phils?|phili[ac]|urias?|globins?|globulins?)"
)
ORDINARY = "case phase base ease please phrase increase decrease disease release purchase"
PLAIN = frozenset(ORDINARY.split()) | {f"{word}s" for word in ORDINARY.split()}
ABBREVIATION = re.compile(r"\w*[A-Z]\w*[A-Z]\w*|\w+[A-Z]\w*|Ca|Na|Mg|Fe|Hb|Cl|Cu|Zn|K|P|C|D")
NUMBER_WORD = re.compile(
    r"zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|(?:twen|thir|for|fif|six|seven|eigh|"
    r"nine)ty|hundreds?|thousands?|millions?|billions?|dozens?|half|halves|halved|thirds?|quarters?|once|twice|thrice|"
    r"doubled?|tripled?|\w+fold"
)
UP = re.compile(r"\b(?:elevated|high|higher|raised|increased|above|upper|exceeds?|over)\b", re.IGNORECASE)
DOWN = re.compile(r"\b(?:reduced|low|lower|lowered|decreased|diminished|below|under)\b", re.IGNORECASE)
SENTENCE = re.compile(r"(?<=[.;])\s|\n")
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
WORD = re.compile(r"\w+")


def fault(text: str, rows: Sequence[Result]) -> str:
    """Why a text must not stand for the results `rows`; "" when it may."""
    if not text.strip() or len(text) > LONGEST:
        return f"expected 1 to {LONGEST} characters"
    if any(not (c.isprintable() or c == "\n") or (c.isnumeric() and not c.isascii()) for c in text):
        return "expected plain text with the digits 0 to 9"
    facts = abnormal(rows)
    if not all(_names(panel_analyte(row.code)).search(text) for row in facts):
        return "an abnormal analyte is not named"
    if any(_turned_round(part, facts) for part in SENTENCE.split(text)):
        return "a direction that the results do not have"
    rest = _without(text, [phrase for row in facts for phrase in _phrases(row)])
    held = {float(number) for row in facts for number in NUMBER.findall(_without(sentence(row), _phrases(row)))}
    if _strange_number(rest, held):
        return "a number that the results do not hold"
    return "an analyte that is not among the abnormal results" if _strange_analyte(rest) else ""


def _turned_round(part: str, facts: Sequence[Result]) -> bool:
    """Whether a sentence about results of one direction has only words of the other."""
    sides = {row.value > row.low for row in facts if _names(panel_analyte(row.code)).search(part)}
    words = {True: UP.search(part) is not None, False: DOWN.search(part) is not None}
    return len(sides) == 1 and words[not min(sides)] and not words[min(sides)]


def _strange_number(text: str, held: set[float]) -> bool:
    """Whether a number, as digits or as a word, or a unit, is left that is not `held`."""
    tokens = re.findall(r"[0-9][0-9.,]*", text)
    numbers = [token.rstrip(".,") for token in tokens]
    if any(not NUMBER.fullmatch(number) or float(number) not in held for number in numbers):
        return True
    if re.search(r"[0-9][^\W\d]|[^\W\d][0-9]|[/%^]", text):  # 2e5, B12, mg/dL, %
        return True
    return any(NUMBER_WORD.fullmatch(word.lower()) for word in WORD.findall(text))


def _strange_analyte(text: str) -> bool:
    """Whether something is left that names, or may name, an analyte."""
    if _vocabulary().search(text):
        return True
    words = WORD.findall(text)
    if any(ABBREVIATION.fullmatch(word) for word in words):
        return True
    return any(SUFFIX.fullmatch(word.lower()) and word.lower() not in PLAIN for word in words)


def _phrases(row: Result) -> tuple[str, ...]:
    """What a text may call the analyte of a result, and its unit."""
    analyte = panel_analyte(row.code)
    return (analyte.unit, *_called(analyte)) if analyte.unit != "1" else _called(analyte)


def _called(analyte: Analyte) -> tuple[str, ...]:
    """Names and aliases of an analyte that are not codes."""
    return tuple(word for word in (analyte.name, analyte.long_name, *analyte.aliases) if not word[0].isdigit())


@cache
def _names(analyte: Analyte) -> re.Pattern[str]:
    """Any name of an analyte; short ones only as they are written."""
    long = "|".join(_whole(word) for word in _called(analyte) if _case(word))
    short = "|".join(_whole(word) for word in _called(analyte) if not _case(word))
    return re.compile("|".join(part for part in (f"(?i:{long})" if long else "", short) if part))


@cache
def _vocabulary() -> re.Pattern[str]:
    """Every analyte known by a name of more than four letters, in the singular or the plural."""
    panel = [re.escape(word) for analyte in blood_panel() for word in _called(analyte) if _case(word)]
    return re.compile(rf"(?<!\w)(?:{'|'.join(panel)}|{OTHER_ANALYTES})s?(?!\w)", re.IGNORECASE)


def _without(text: str, phrases: Sequence[str]) -> str:
    """A text from which phrases are cut, the longest first."""
    for phrase in sorted(phrases, key=len, reverse=True):
        text = _pattern(phrase).sub(" ", text)
    return text


@cache
def _pattern(phrase: str) -> re.Pattern[str]:
    return re.compile(_whole(phrase), _case(phrase))


def _whole(word: str) -> str:
    return rf"(?<!\w){re.escape(word)}(?!\w)"


def _case(word: str) -> re.RegexFlag:
    """Short names are abbreviations or symbols and mean something else in lower case (got, alt, p)."""
    return re.IGNORECASE if len(word) > 4 else re.RegexFlag(0)
