"""Sites too small to train on, put together by a written rule.

1. A site is small if it has fewer patients in clinical.tsv than --min-site-patients.
2. `hospital`: small sites of one hospital become one site; if the hospital has a site that is not small, they join
   its largest.
3. `state`: what is still small after that joins the other small sites of its state; large sites stay as they are.
4. `region`: the same again with the region.
5. Codes that the table does not have, and brokers, join nobody. What is still small is never trained on: unseen.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Literal, get_args

from shared.errors import BadInput
from simulations.tcga.tissue_source_sites import TissueSourceSite, tissue_source_sites

__all__ = ["RULES", "Rule", "merge_small_sites", "rule_of"]

Rule = Literal["none", "hospital", "state", "region"]
RULES: tuple[Rule, ...] = get_args(Rule)


def rule_of(text: str) -> Rule:
    """The option --merge-small; BadInput for another word."""
    found = next((rule for rule in RULES if rule == text), None)
    if found is None:
        raise BadInput(f"--merge-small: expected one of {', '.join(RULES)}, got {text!r}; choose one of them")
    return found


def merge_small_sites(sites: Mapping[str, str], rule: Rule, least: int) -> tuple[dict[str, str], list[str]]:
    """case_id -> site after the merging, and one sentence for every merge.

    Parameters
    ----------
    sites
        case_id -> tissue source site code.
    rule
        How far to go; `none` changes nothing.
    least
        Sites with fewer patients are small.
    """
    counts = Counter(sites.values())
    members = {code: [code] for code in sorted(counts)}  # site -> the codes in it
    notes: list[str] = []
    for level in RULES[1 : RULES.index(rule) + 1]:
        for place, group in _groups(members, counts, level, least).items():
            name = _name(level, place, group, members, counts, least)
            codes = sorted(code for site in group for code in members.pop(site))
            members[name] = codes
            total = sum(counts[code] for code in codes)
            parts = ", ".join(f"{code} ({counts[code]})" for code in codes)
            few = "" if total >= least else f"; still fewer than {least}, so unseen"
            notes.append(f"Merged by {level}: {parts} are site {name} ({place}), {total} patients{few}.")
    into = {code: site for site, codes in members.items() for code in codes}
    return {case: into[code] for case, code in sites.items()}, notes


def _groups(
    members: Mapping[str, list[str]], counts: Mapping[str, int], level: Rule, least: int
) -> dict[str, list[str]]:
    """Place -> the sites there that become one."""
    small: dict[str, list[str]] = {}
    large: dict[str, list[str]] = {}
    for site, codes in members.items():
        place = _place(tissue_source_sites().get(codes[0]), level)
        if place:
            (small if _size(codes, counts) < least else large).setdefault(place, []).append(site)
    if level == "hospital":
        for place, group in small.items():
            group += sorted(large.get(place, []), key=lambda site: (-_size(members[site], counts), site))[:1]
    return {place: group for place, group in sorted(small.items()) if len(group) > 1}


def _place(site: TissueSourceSite | None, level: Rule) -> str:
    if site is None or site.kind == "broker":
        return ""
    return {"hospital": site.hospital, "state": site.state, "region": site.region}.get(level, "")


def _size(codes: list[str], counts: Mapping[str, int]) -> int:
    return sum(counts[code] for code in codes)


def _name(
    level: Rule, place: str, group: list[str], members: Mapping[str, list[str]], counts: Mapping[str, int], least: int
) -> str:
    """A site id: the code of the hospital's largest site, or what the place is called."""
    largest = max(group, key=lambda site: (_size(members[site], counts), site))
    if level == "hospital" and _size(members[largest], counts) >= least:
        return largest
    name = re.sub(r"[^A-Za-z0-9]+", "_", place).strip("_")[:26]
    return f"{name}_small" if level != "hospital" else name
