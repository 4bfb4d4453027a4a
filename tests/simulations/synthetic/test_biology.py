from collections import Counter

import numpy as np

from simulations.synthetic.biology import draw_patients
from simulations.synthetic.hospitals import DEFAULT_HOSPITALS, GRADES, Hospital


def test_class_counts_follow_the_mix_exactly() -> None:
    # 10 patients at .45 .35 .20: whole parts 4 3 2, and the one left over goes to the first of the largest remainders
    patients = draw_patients(Hospital("AA", 10, (0.45, 0.35, 0.20)), seed=0)
    assert Counter(patient.grade for patient in patients) == {"G2": 5, "G3": 3, "G4": 2}


def test_eight_hospitals_train_and_four_are_unseen() -> None:
    sizes = [hospital.patients for hospital in DEFAULT_HOSPITALS]
    assert len(sizes) == len({hospital.code for hospital in DEFAULT_HOSPITALS}) == 12
    assert all(24 <= size <= 60 for size in sizes[:8])
    assert all(8 <= size <= 15 for size in sizes[8:])
    assert [hospital.code for hospital in DEFAULT_HOSPITALS if not hospital.slides] == ["SE"]
    assert [hospital.code for hospital in DEFAULT_HOSPITALS if not hospital.blood] == ["SD"]


def test_every_client_has_every_class_twice() -> None:
    for hospital in DEFAULT_HOSPITALS[:8]:
        counts = Counter(patient.grade for patient in draw_patients(hospital, seed=0))
        assert min(counts[grade] for grade in GRADES) >= 2


def test_modalities_are_missing_as_promised() -> None:
    patients = [p for hospital in DEFAULT_HOSPITALS for p in draw_patients(hospital, seed=0)]
    assert all(p.has_slide or p.has_expression or p.has_blood for p in patients)
    assert not any(p.has_slide for p in patients if p.hospital == "SE")
    assert not any(p.has_blood for p in patients if p.hospital == "SD")
    elsewhere = [p for p in patients if p.hospital not in {"SE", "SD"}]
    for present in ("has_slide", "has_expression", "has_blood"):
        share = 1 - np.mean([getattr(p, present) for p in elsewhere])
        assert 0.01 < share < 0.08


def test_a_hospital_where_everything_is_missing_keeps_expression() -> None:
    patients = draw_patients(Hospital("AA", 5, slides=False, blood=False, missing_share=1.0), seed=0)
    assert all(p.has_expression for p in patients)


def test_a_patient_depends_on_no_other() -> None:
    ten, twenty = (draw_patients(Hospital("AA", size, (1.0, 0.0, 0.0)), seed=0) for size in (10, 20))
    assert ten == twenty[:10]
    assert draw_patients(Hospital("AB", 10, (1.0, 0.0, 0.0)), seed=0)[0].age != ten[0].age


def test_latents_are_independent_within_a_grade() -> None:
    patients = draw_patients(Hospital("AA", 2000, (0.0, 1.0, 0.0)), seed=0)
    latents = np.array([(p.morphology.level, p.programme, p.host) for p in patients])
    correlation = np.corrcoef(latents.T)
    assert np.abs(correlation - np.eye(3)).max() < 0.07


def test_survival_is_shorter_with_every_grade_and_partly_censored() -> None:
    patients = draw_patients(Hospital("AA", 1500), seed=0)
    mean_months = [np.mean([p.os_months for p in patients if p.grade == grade]) for grade in GRADES]
    assert mean_months == sorted(mean_months, reverse=True)
    assert 0.3 < np.mean([p.os_event for p in patients]) < 0.7
    assert min(p.os_months for p in patients) > 0
