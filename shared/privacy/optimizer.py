"""Opacus's DPOptimizer with this project's noise, public denominator and guards."""

import math

import torch
from opacus.optimizers.optimizer import DPOptimizer, _check_processed_flag, _mark_as_processed
from torch import Tensor

from shared.privacy.noise import Noise

__all__ = ["PrivateOptimizer"]

NUDGE = 1e-6  # Opacus's, added to every norm: the clipped norm stays below C after rounding


class PrivateOptimizer(DPOptimizer):  # type: ignore[misc]
    """Clip, add up, add noise, divide by a public constant, then let the inner optimizer step.

    `p.grad_sample` (b, *p.shape) of every trainable parameter goes in, one row a patient; `step()` or
    `signal_skip_step` decide what happens with it, as in Opacus. The sum is kept in one flat buffer, float32, so that
    a step is a few passes over memory and not some operations for each of many small parameters.

    Differs from Opacus in this: the noise comes from `noise`; the sum is divided by `expected_batch` whatever was
    drawn and however it was cut into chunks; a patient whose gradient is not finite counts as zero, which depends on
    that patient alone; an optimizer that failed in mid-step is refused ever after.

    Parameters
    ----------
    optimizer
        The inner one, which holds the trainable parameters and no others; all on one device, float32.
    sigma
        Noise multiplier: the noise of a step has standard deviation sigma x clip in every coordinate.
    clip
        C, the largest norm of one patient's gradient over all parameters together.
    expected_batch
        The public denominator.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, *, sigma: float, clip: float, expected_batch: float, noise: Noise
    ) -> None:
        super().__init__(
            optimizer, noise_multiplier=sigma, max_grad_norm=clip, expected_batch_size=None, loss_reduction="sum"
        )
        trained: list[torch.nn.Parameter] = self.params
        self.expected_batch = expected_batch
        self.failed = False
        self._noise = noise
        self._sum = torch.zeros(sum(p.numel() for p in trained), device=trained[0].device)
        parts = torch.split(self._sum, [p.numel() for p in trained])
        self._sums = [part.view(p.shape) for part, p in zip(parts, trained, strict=True)]

    @property
    def between_steps(self) -> bool:
        """Whether nothing is left of an unfinished step. A stale skip signal would swallow the next step silently."""
        return not (self.failed or self._step_skip_queue or self._is_last_step_skipped)

    def clip_and_accumulate(self) -> None:
        """Scale every patient's gradient down to norm C and add it to the sum.

        Raises
        ------
        ValueError
            Gradients that were used before, or parameters that disagree about the number of patients.
        """
        samples: list[Tensor] = self.grad_samples
        _check_processed_flag(samples)
        rows = {len(sample) for sample in samples}
        if len(rows) != 1:
            raise ValueError(
                "expected as many patients in every parameter's gradient, got unequal numbers; expand learned tokens "
                "to the batch first"
            )
        if self.params[0].summed_grad is None:
            self._sum.zero_()
            for p, part in zip(self.params, self._sums, strict=True):
                p.summed_grad = part.view(p.shape)  # a new view, without the mark of an earlier step
        if rows != {0}:
            self._add(samples)
        _mark_as_processed(samples)

    def _add(self, samples: list[Tensor]) -> None:
        if len(samples[0]) == 1:
            self._add_one([sample[0] for sample in samples])
            return
        norms = torch.stack([torch.linalg.vector_norm(sample.flatten(1), dim=1) for sample in samples]).norm(dim=0)
        finite = torch.isfinite(norms)  # (b,)
        if not finite.all():
            samples = [sample.where(finite.view(-1, *[1] * (sample.dim() - 1)), 0.0) for sample in samples]
        factors = (self.max_grad_norm / (norms.where(finite, 0.0) + NUDGE)).clamp(max=1.0)  # (b,)
        for total, sample in zip(self._sums, samples, strict=True):
            total.view(-1).addmv_(sample.flatten(1).t(), factors)

    def _add_one(self, gradient: list[Tensor]) -> None:
        """The same for one patient, in three passes over all parameters at once."""
        norm = float(torch.stack(torch._foreach_norm(gradient)).norm())
        if math.isfinite(norm):
            torch._foreach_add_(self._sums, gradient, alpha=min(1.0, self.max_grad_norm / (norm + NUDGE)))

    def add_noise(self) -> None:
        """Add N(0, (sigma C)^2) to every coordinate of the sum, once; the result is each parameter's gradient."""
        for p in self.params:
            _check_processed_flag(p.summed_grad)
        self._sum.add_(
            self._noise.standard_normal(len(self._sum), self._sum.device),
            alpha=self.noise_multiplier * self.max_grad_norm,
        )
        for p in self.params:
            p.grad = p.summed_grad.view_as(p)
            _mark_as_processed(p.summed_grad)

    def scale_grad(self) -> None:
        """Divide by the public denominator, never by the number of patients that were drawn."""
        self._sum.div_(self.expected_batch)

    def pre_step(self, closure: None = None) -> bool:
        """As Opacus's, on an optimizer that has not failed.

        Raises
        ------
        RuntimeError
            An earlier step did not end: what it left could be released without noise, or twice.
        """
        if self.failed:
            raise RuntimeError("expected an optimizer whose steps all ended, got one that failed; make a new one")
        return bool(super().pre_step(closure))

    def fail(self) -> None:
        """Refuse all further steps, and forget the patients' gradients."""
        self.failed = True
        self._sum.zero_()
        for p in self.params:
            p.grad = p.grad_sample = p.summed_grad = None
