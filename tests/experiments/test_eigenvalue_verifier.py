"""The transformer's eigenvalues: what is kept, what is learned, and that everything is a function of the key."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from ouroloop.errors import SpecError
from ouroloop.experiments import eigenvalue_verifier
from ouroloop.experiments.eigenvalue_network import Answers, EigenvalueNetwork, answers, train
from ouroloop.experiments.eigenvalue_verifier import EigenvalueVerifier, _matrices, _relative
from ouroloop.keys import Key

TINY = EigenvalueVerifier(
    n_real=200, n_synthetic=400, tolerance=0.5, width=16, layers=1, first_steps=30, steps=20, n_test=300
)


def network() -> EigenvalueNetwork:
    with Key(0).child("weights").seeded():
        return EigenvalueNetwork(4, 16, 1, 4)


def test_matrices_are_symmetric_with_their_eigenvalues():
    x, y = _matrices(2000, 5, Key(0))
    np.testing.assert_array_equal(x, x.transpose(0, 2, 1))
    assert x.var() == pytest.approx(1.0, abs=0.02)
    np.testing.assert_allclose(y.sum(axis=1), np.trace(x, axis1=1, axis2=2), atol=1e-4)
    np.testing.assert_allclose((y**2).sum(axis=1), (x**2).sum(axis=(1, 2)), rtol=1e-4)
    assert (np.diff(y, axis=1) >= 0.0).all()


def test_the_loss_is_the_likelihood_of_a_laplace_distribution():
    x, y = _matrices(7, 4, Key(1))
    model = network()
    centre, scale = (part.detach().numpy().astype(np.float64) for part in model(torch.from_numpy(x)))
    law = stats.laplace(loc=centre, scale=np.exp(scale)[:, None])
    expected = -law.logpdf(y).mean() - np.log(2.0)
    assert model.loss(torch.from_numpy(x), torch.from_numpy(y)).item() == pytest.approx(expected, rel=1e-4)


def test_attention_is_torch_s():
    block = network().blocks[0]
    x = torch.randn(6, 4, 16, generator=torch.Generator().manual_seed(0))
    query, key, value = block.mixed(block.before(x)).view(6, 4, 3, 4, 4).permute(2, 0, 3, 1, 4)
    seen = torch.nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(6, 4, 16)
    y = x + block.out(seen)
    expected = y + block.narrow(torch.relu(block.wide(block.between(y))))
    torch.testing.assert_close(block(x), expected)


def test_answers_do_not_depend_on_the_chunks():
    x, _ = _matrices(50, 4, Key(2))
    found, pieces = answers(network(), x), answers(network(), x, chunk=7)
    assert found.centre.shape == (50, 4)
    assert found.scale.shape == (50,)
    for a, b in zip(found, pieces, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_draws_have_the_distribution_s_scale_and_density():
    found = Answers(np.zeros((2, 4), np.float32), np.array([0.5, 2.0], np.float32))
    said, density = found.draws(20_000, Key(0).rng())
    np.testing.assert_allclose(np.abs(said).mean(axis=(1, 2)), [0.5, 2.0], rtol=0.02)
    law = stats.laplace(scale=np.array([0.5, 2.0])[:, None, None]).logpdf(said).sum(axis=2)
    np.testing.assert_allclose(density, law + 4 * np.log(2.0), atol=1e-4)


def test_training_lowers_the_loss_and_is_a_function_of_the_key():
    x, y = _matrices(500, 4, Key(3))
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    before = network().loss(inputs, targets).item()
    first, second = network(), network()
    for model in (first, second):
        train(model, x, y, 60, 32, 3e-3, Key(4))
    assert first.loss(inputs, targets).item() < before - 0.2
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_key_does_not_depend_on_the_others_nor_on_the_global_state():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    both = TINY.run([Key(0), Key(7)])
    assert torch.equal(state, torch.get_rng_state())
    eigenvalue_verifier._first.cache_clear()
    torch.manual_seed(6)
    for name, values in TINY.run([Key(7)]).items():
        np.testing.assert_array_equal(both[name][1:], values)


def test_arms_share_their_generation_0():
    arms = [replace(TINY, **o) for o in ({}, {"selection": "all"}, {"choice": "truth"}, {"keep_wrong": 0.3})]
    starts = [arm.run([Key(0)])["error"][0, 0] for arm in arms]
    assert len(set(starts)) == 1
    other = replace(TINY, n_real=100).run([Key(0)])["error"][0, 0]
    assert other != starts[0]


@pytest.mark.parametrize(
    ("option", "purity", "share", "p_star"),
    [
        ({}, 1.0, None, 1.0),
        ({"choice": "nearest"}, 1.0, None, 1.0),
        ({"selection": "all"}, None, 1.0, 0.5),
        ({"selection": "all", "choice": "truth"}, 1.0, 1.0, 1.0),
        ({"selection": "random"}, None, None, None),
        ({"keep_correct": 0.0, "keep_wrong": 1.0}, 0.0, None, 0.0),
    ],
)
def test_rates_of_what_is_kept(option, purity, share, p_star):
    found = replace(TINY, **option).run([Key(1)])
    for name, expected in (("purity", purity), ("kept_share", share), ("p_star", p_star)):
        assert found[name][0, 0] == 1.0
        if expected is not None:
            assert found[name][0, 1] == expected


def test_a_draw_is_right_less_often_than_the_nearest_of_several():
    first, nearest = (replace(TINY, choice=choice).run([Key(1)])["kept_share"][0, 1] for choice in ("first", "nearest"))
    assert 0.0 < first < nearest


def test_random_and_confidence_choose_as_many_as_an_oracle():
    shares = [
        replace(TINY, selection=s).run([Key(1)])["kept_share"][0, 1] for s in ("verifier", "random", "confidence")
    ]
    assert shares[0] == shares[1] == shares[2]
    e = replace(TINY, selection="confidence")
    kept = e._kept(np.ones(4, bool), np.array([0.1, 3.0, -1.0, 2.0]), 2, Key(0).rng())
    assert kept.tolist() == [False, True, False, True]


def test_a_verifier_that_keeps_nothing_leaves_the_model_as_it_starts():
    found = replace(TINY, tolerance=1e-9).run([Key(0)])
    assert found["kept_share"][0, 1] == 0.0
    assert np.isnan(found["purity"][0, 1])
    assert found["error"][0, 1] == found["error"][0, 0]
    fresh = replace(TINY, tolerance=1e-9, start="scratch").run([Key(0)])
    assert fresh["error"][0, 1] > fresh["error"][0, 0]


def test_retraining_leaves_the_shared_first_model_alone():
    before = TINY.run([Key(3)])["error"]
    replace(TINY, selection="all", choice="truth").run([Key(3)])
    np.testing.assert_array_equal(TINY.run([Key(3)])["error"], before)


def test_true_labels_of_more_matrices_lower_the_error():
    e = replace(TINY, selection="all", choice="truth", n_real=20, n_synthetic=4000, first_steps=150, steps=150)
    found = e.run([Key(0)])["error"][0]
    assert found[1] < found[0]


def test_later_generations_learn_from_the_one_before():
    found = replace(TINY, generations=2, selection="all").run([Key(0)])
    assert found["accuracy"].shape == (1, 3)
    np.testing.assert_array_equal(found["error"][:, :2], replace(TINY, selection="all").run([Key(0)])["error"])


def test_relative_errors():
    truth = np.array([[-1.0, 3.0]])
    said = np.array([[[-1.0, 3.0], [0.0, 3.0]]])
    np.testing.assert_allclose(_relative(said, truth), [[0.0, 0.25]])


def test_p_star_is_foretold_where_the_rates_are_given():
    assert replace(TINY, keep_correct=0.9, keep_wrong=0.1).forecasts()[0].values.tolist() == pytest.approx([1.0, 0.9])
    assert replace(TINY, selection="random").forecasts()[0].values.tolist() == [1.0, 0.5]
    for option in ({"selection": "confidence"}, {"choice": "truth"}, {"keep_correct": 0.0}):
        assert not replace(TINY, **option).forecasts()


def test_a_width_that_the_heads_do_not_divide_is_refused():
    with pytest.raises(SpecError, match="multiple of 4"):
        _ = replace(TINY, width=18).axis
