"""Blood results as numbers: signed distances from the reference intervals."""

import numpy as np

from client.prepare.blood.distance import interval_distance
from client.prepare.blood.results import read_results
from client.prepare.patients import Roster
from client.prepare.report import PrepareReport
from shared.cohort.store_files import Table
from shared.site import Site
from shared.study import Blood

__all__ = ["blood_table"]


def blood_table(site: Site, roster: Roster, blood: Blood, report: PrepareReport) -> Table:
    """Distances (P, F_b), one column a LOINC code of `blood.analytes`.

    Raises
    ------
    CohortError
        blood.csv is malformed as a whole.
    """
    values = np.full((len(roster.case_ids), len(blood.analytes)), np.nan)
    column = {code: i for i, code in enumerate(blood.analytes)}
    results = read_results(site, roster, blood.analytes, report)
    for place, case_id in enumerate(roster.case_ids):
        for row in results.get(case_id, ()):
            values[place, column[row.code]] = interval_distance(row.value, row.low, row.high)
    return roster.as_table(values, blood.analytes)
