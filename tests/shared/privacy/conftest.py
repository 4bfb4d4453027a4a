"""The small models and batches of every architecture, as the tests of the registry's rules use them."""

from tests.shared.models.conftest import batch_of, case, inputs_of

__all__ = ["batch_of", "case", "inputs_of"]
