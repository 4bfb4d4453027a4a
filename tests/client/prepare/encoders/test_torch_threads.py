from collections.abc import Iterator

import pytest
import torch

from client.prepare.encoders.torch_threads import one_torch_thread


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_one_thread_inside_and_as_before_after():
    with one_torch_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def fail_with_one_thread():
    with one_torch_thread():
        raise KeyError


@pytest.mark.usefixtures("three_threads")
def test_as_before_after_a_fault_too():
    with pytest.raises(KeyError):
        fail_with_one_thread()
    assert torch.get_num_threads() == 3
