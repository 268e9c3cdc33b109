import numpy as np
import pytest

from ouroloop.correctors.verifier import Verifier
from ouroloop.errors import DataError, PartError
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples, Verdict
from ouroloop.testing import CorrectorSuite

KEY = Key(0, ("test",))


def labelled(n, wrong=0.0, seed=0, distance=6.0):
    """Two well separated classes; a share of the labels is flipped."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(2, size=n)
    x = rng.normal(size=(n, 2)) + distance * (truth[:, None] - 0.5)
    label = np.where(rng.random(n) < wrong, 1 - truth, truth)
    return Samples.of(x, label=label, truth=truth)


class TestVerifier(CorrectorSuite):
    def make(self):
        return Verifier(judge="self", keep_correct=0.9, keep_wrong=0.2)


def verdicts(rows, **options):
    part = Verifier(**options).fit(Reference(labelled(300, seed=9)), key=KEY)
    return part.correct(rows, key=KEY).verdict == Verdict.KEPT


@pytest.mark.parametrize("judge", ["model", "self", "column"])
def test_every_judge_finds_most_flipped_labels(judge):
    rows = labelled(2000, wrong=0.2)
    kept, right = verdicts(rows, judge=judge), rows.label == rows["truth"]
    assert kept[right].mean() > 0.98
    assert kept[~right].mean() < 0.02


@pytest.mark.parametrize(("phi", "psi"), [(1.0, 1.0), (1.0, 0.5), (0.9, 0.1), (0.3, 0.0)])
def test_rates_of_a_noisy_judge(phi, psi):
    n = 20_000
    rows = labelled(n, wrong=0.3)
    kept, right = verdicts(rows, judge="column", keep_correct=phi, keep_wrong=psi), rows.label == rows["truth"]
    for mask, rate in ((right, phi), (~right, psi)):
        error = np.sqrt(rate * (1 - rate) / mask.sum())
        assert abs(kept[mask].mean() - rate) <= 4 * error


def test_purity_of_what_is_kept_is_the_closed_form():
    noise, phi, psi, n = 0.4, 0.9, 0.3, 40_000
    rows = labelled(n, wrong=noise)
    kept = verdicts(rows, judge="column", keep_correct=phi, keep_wrong=psi)
    purity = (rows.label == rows["truth"])[kept].mean()
    law = (1 - noise) * phi / ((1 - noise) * phi + noise * psi)
    assert purity == pytest.approx(law, abs=4 * np.sqrt(law * (1 - law) / kept.sum()))


def test_a_judge_of_its_own_kind_keeps_what_it_cannot_judge():
    one_class = Samples.of(np.zeros((5, 2)), label=np.ones(5))
    assert verdicts(one_class, judge="self").all()


def test_what_cannot_be_verified_is_said():
    bare = Samples.of(np.zeros((4, 2)))
    with pytest.raises(DataError, match="needs a column 'label' in the real data"):
        Verifier().fit(Reference(bare), key=KEY)
    with pytest.raises(PartError, match="call fit"):
        Verifier().correct(labelled(3), key=KEY)
    part = Verifier(judge="column").fit(Reference(labelled(20)), key=KEY)
    with pytest.raises(DataError, match="column 'label' in the synthetic"):
        part.correct(bare, key=KEY)
    with pytest.raises(DataError, match="column 'truth'"):
        part.correct(bare.replace(label=np.zeros(4)), key=KEY)


def test_rows_with_nan_fail():
    rows = labelled(10)
    x = rows.x.copy()
    x[3] = np.nan
    part = Verifier(judge="column").fit(Reference(labelled(20)), key=KEY)
    assert part.correct(rows.replace(x=x), key=KEY).verdict[3] == Verdict.FAILED
