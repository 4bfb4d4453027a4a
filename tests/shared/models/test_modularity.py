import pytest
import torch
from torch.func import grad, vmap

from shared.models.modularity import (
    assignments,
    cause_modularity,
    cause_modularity_direct,
    paper_modularity,
    paper_modularity_direct,
    unit_features,
)

FORMS = [(paper_modularity_direct, paper_modularity), (cause_modularity_direct, cause_modularity)]
every_form = pytest.mark.parametrize(("direct", "blockwise"), FORMS, ids=["paper", "cause"])


def drawn(rows=3, patches=70, dim=8, tokens=12, seed=0):
    """Features, a mask with a short and an empty bag, and tokens."""
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, patches, dim, generator=random).relu()
    mask = torch.ones(rows, patches, dtype=torch.bool)
    mask[0, patches - 20 :] = False
    mask[-1] = False
    return features, mask, torch.randn(rows, tokens, dim, generator=random)


def loss_of(form, features, mask, tokens, **block):
    """Both families, weighed unequally: (B,)."""
    unit = unit_features(features, mask)
    rows = assignments(tokens, unit)
    first, second = form(unit, [rows[:, :5], rows[:, 5:]], **block)
    return first + 2 * second


def value_and_slope(form, features, mask, tokens, **block):
    tokens = tokens.clone().requires_grad_()
    values = loss_of(form, features, mask, tokens, **block)
    (slope,) = torch.autograd.grad(values.sum(), tokens)
    return values.detach(), slope


def test_two_communities_by_hand():
    # patches 0, 1 look alike, 2, 3 look alike: A joins each pair with 1, so dg = 1, s = 4 and W = A - 1/4
    unit = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]])
    agree = torch.tensor([[[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]])  # S W S^T = 2 - 1 for each token
    across = torch.tensor([[[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]])  # 0 - 1 for each token
    for form in (paper_modularity_direct, paper_modularity):
        assert [value.tolist() for value in form(unit, [agree, across])] == [[0.5], [-0.5]]
    # D is tanh(10) = 1 inside a community; the diagonal of W is -1/4 and counts too
    same, other = cause_modularity(unit, [agree, across], block=3)
    torch.testing.assert_close(same, torch.tensor([(4 * 0.75 - 4 * 0.25) / 4]))
    torch.testing.assert_close(other, torch.tensor([-8 * 0.25 / 4]))


@every_form
@pytest.mark.parametrize("block", [1, 16, 70, 500])
def test_blockwise_equals_direct(direct, blockwise, block):
    expected = value_and_slope(direct, *drawn())
    got = value_and_slope(blockwise, *drawn(), block=block)
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    assert expected[1].abs().max() > 1e-2


@every_form
def test_one_gradient_a_patient_equals_the_batch(direct, blockwise):
    features, mask, tokens = drawn()

    def single(tokens, features, mask):
        return loss_of(blockwise, features[None], mask[None], tokens[None], block=16).sum()

    at_once = vmap(grad(single))(tokens, features, mask)
    torch.testing.assert_close(at_once, value_and_slope(direct, features, mask, tokens)[1], rtol=0, atol=1e-6)


@every_form
def test_padding_changes_nothing_and_an_empty_bag_is_worth_nothing(direct, blockwise):
    features, mask, tokens = drawn(rows=2)
    short = features[:, :50], mask[:, :50], tokens
    for form, options in ((direct, {}), (blockwise, {"block": 16})):
        values, slope = value_and_slope(form, features, mask, tokens, **options)
        alone, slope_alone = value_and_slope(form, *short, **options)
        torch.testing.assert_close(values[0], alone[0], rtol=0, atol=1e-6)
        torch.testing.assert_close(slope[0], slope_alone[0], rtol=0, atol=1e-6)
        assert values[1] == 0
        assert slope[1].count_nonzero() == 0


@every_form
def test_no_patch_and_no_patient_are_taken(direct, blockwise):
    for rows, patches in ((2, 0), (0, 6)):
        features, mask = torch.zeros(rows, patches, 8), torch.ones(rows, patches, dtype=torch.bool)
        values, slope = value_and_slope(blockwise, features, mask, torch.ones(rows, 12, 8))
        assert values.tolist() == [0.0] * rows
        assert slope.count_nonzero() == 0


@every_form
def test_half_precision_around_it_changes_little(direct, blockwise):
    features, mask, tokens = drawn()
    exact = value_and_slope(blockwise, features, mask, tokens, block=16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = value_and_slope(blockwise, features.bfloat16(), mask, tokens.bfloat16(), block=16)
    assert rounded[0].dtype == torch.float32
    torch.testing.assert_close(rounded[0], exact[0], rtol=0, atol=2e-3)  # the inputs are rounded to 8 bits, no more


def test_features_get_no_gradient():
    features, mask, tokens = drawn()
    tokens.requires_grad_()
    loss_of(paper_modularity, features.requires_grad_(), mask, tokens).sum().backward()
    assert features.grad is None
    assert tokens.grad.count_nonzero() > 0
