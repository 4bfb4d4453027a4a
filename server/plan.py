"""`mmfed-server plan-privacy`: what noise a consortium would face, and whether anything can be learnt through it."""

from collections.abc import Iterator
from typing import Annotated

import typer

from shared.privacy.planning import DOUBTFUL, PLAUSIBLE, Plan, make_plan
from shared.privacy.report.sentences import rounded_up, sure

__all__ = ["plan_privacy", "plan_text"]

SMALL_MODEL = 20_000  # about `dp_small` at its default width, on a public gene list and features of a few hundred
WORDS = {
    "nothing": "this will learn nothing.",
    "doubtful": "doubtful, most of what could be learnt will drown in the noise.",
    "plausible": "learning is plausible.",
}
RULE = (
    "  Strength is by how many standard deviations of the noise the whole study can move one patient's prediction, if",
    "  every patient's gradient has its full length and pushes that way. On generated patients, whom models without",
    f"  privacy rank with an AUC of .82 to .93, nothing was learnt below {DOUBTFUL:g}, and most of that from about "
    f"{PLAUSIBLE:g} on.",
    "  An easier question needs less, a harder one more.",
)


def plan_privacy(
    patients: Annotated[int, typer.Option(help="Patients of one hospital.")],
    sites: Annotated[int, typer.Option(help="Hospitals.")],
    epsilon: Annotated[float, typer.Option(help="Most that the study may cost a hospital's patient.")],
    test_fraction: Annotated[float, typer.Option(help="Share of the patients that is held out.")] = 0.3,
    delta: Annotated[float, typer.Option(help="Chance that the bound fails.")] = 1e-5,
    rounds: Annotated[int, typer.Option(help="Rounds of the study.")] = 30,
    sample_rate: Annotated[float, typer.Option(help="Chance of each patient to be in a step.")] = 1.0,
    expected_batch: Annotated[float, typer.Option(help="Denominator of a step; 0 = rate times patients.")] = 0.0,
    clip: Annotated[float, typer.Option(help="Longest gradient of one patient.")] = 1.0,
    parameters: Annotated[int, typer.Option(help="Trained parameters of the model.")] = SMALL_MODEL,
) -> None:
    """Tell what noise a private study would face, what it would cost, and whether it can learn anything.

    No patient, hospital or study is asked: all of it follows from public numbers.
    """
    plan = make_plan(
        patients=patients,
        sites=sites,
        epsilon=epsilon,
        test_fraction=test_fraction,
        delta=delta,
        rounds=rounds,
        sample_rate=sample_rate,
        expected_batch=expected_batch or None,
        clip=clip,
        parameters=parameters,
    )
    typer.echo(plan_text(plan))


def plan_text(plan: Plan) -> str:
    """Everything that the command prints."""
    return "\n".join([*_promise(plan), "", *_noise(plan), "", *_verdict(plan), "", *_study(plan)])


def _promise(plan: Plan) -> Iterator[str]:
    yield (
        f"{plan.sites} hospitals, each training on {plan.patients} patients, epsilon {plan.epsilon:g} at delta "
        f"{plan.delta:g}."
    )
    yield f"  one study, a patient there or not     epsilon {rounded_up(plan.cost())}: {_sure(plan.cost())}"
    yield f"  one study, a patient exchanged        epsilon {rounded_up(plan.cost(1, 'replace_one'))}"
    for studies in (2, 3):
        yield f"  after {studies} such studies                  epsilon {rounded_up(plan.cost(studies))}"
    yield f"  a patient of two of the hospitals     epsilon {rounded_up(plan.cost(2))}: both have released something"


def _sure(epsilon: float) -> str:
    return f"who is 50 % sure that somebody took part can become {sure(epsilon)} sure"


def _noise(plan: Plan) -> Iterator[str]:
    yield f"  steps                                 {plan.rounds} rounds x {plan.steps_per_round} = {plan.steps}"
    yield f"  chance to be in a step, q             {plan.sample_rate:g}"
    yield f"  noise multiplier, sigma               {plan.sigma:g}"
    yield (
        f"  noise per coordinate of the mean      {plan.site_noise:.3g} at one hospital, {plan.mean_noise:.3g} after "
        f"averaging {plan.sites} (gradients are at most {plan.clip:g} long)"
    )
    yield f"  strength of the study                 {plan.strength:.3g}"
    yield (
        f"  length of updates over their noise    {plan.update_ratio:.2g} at best, for {plan.parameters:,} parameters"
    )


def _verdict(plan: Plan) -> Iterator[str]:
    yield f"Verdict: {WORDS[plan.verdict]}"
    yield from RULE
    if plan.verdict != "plausible":
        yield f"  {_advice(plan)}"


def _advice(plan: Plan) -> str:
    if plan.strength >= PLAUSIBLE:
        return (
            f"The model is too large: {plan.parameters:,} parameters are carried away by their noise, at most "
            f"{plan.most_parameters:,} would do."
        )
    more = PLAUSIBLE / plan.strength
    return (
        f"It would be plausible with {more:.1f} times the patients a hospital, or {more**2:.0f} times the hospitals, "
        f"or an epsilon of {rounded_up(plan.least_epsilon, 1)}."
    )


def _study(plan: Plan) -> Iterator[str]:
    yield f"For the study, with training.rounds = {plan.rounds}:"
    yield ""
    yield plan.section
