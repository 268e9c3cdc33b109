"""Correctors of motions: the conformance suite, and what each does to a motion with a known fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ouroloop.correctors.contact import Contact
from ouroloop.correctors.physics import Physics
from ouroloop.correctors.refloor import Refloor
from ouroloop.correctors.roundtrip import Roundtrip
from ouroloop.correctors.smooth import Smooth
from ouroloop.errors import DataError, SpecError
from ouroloop.keys import Key
from ouroloop.motion.examples import standing, walking
from ouroloop.motion.humanml3d import decode, encode
from ouroloop.motion.physics.measures import joint_error, measure
from ouroloop.protocols import Corrector, Reference
from ouroloop.samples import Samples, Verdict
from ouroloop.testing import CorrectorSuite

FRAMES = 30
UP = np.array([0.0, 1.0, 0.0])


def rows(*motions: np.ndarray) -> Samples:
    """Motions as padded features, one frame fewer than positions."""
    x, length = np.zeros((len(motions), FRAMES, 263), np.float32), []
    for row, motion in enumerate(motions):
        features = encode(motion[: FRAMES + 1])
        x[row, : len(features)] = features
        length.append(len(features))
    return Samples.of(x, length=np.array(length, np.int32), caption=np.array(["a person walks"] * len(motions)))


def corrected(corrector: Corrector, samples: Samples) -> Any:
    return corrector.correct(samples, key=Key(0))


class MotionSuite(CorrectorSuite):
    row_by_row = True

    def real(self, n: int, key: Key) -> Samples:
        lengths, speeds = key.rng().integers(5, 12, n), key.rng().uniform(0.2, 0.6, n)
        return rows(*(walking(int(length) + 1, float(speed)) for length, speed in zip(lengths, speeds, strict=True)))

    def drawn(self, n: int, key: Key) -> Samples:
        samples = self.real(n, key)
        return samples.replace(x=np.where(samples.x == 0, 0, samples.x + np.float32(0.01)))

    def synthetic(self, n: int = 18) -> Samples:
        return super().synthetic(min(n, 18))


class TestRefloor(MotionSuite):
    def make(self) -> Corrector:
        return Refloor()


class TestContact(MotionSuite):
    def make(self) -> Corrector:
        return Contact()


class TestRoundtrip(MotionSuite):
    def make(self) -> Corrector:
        return Roundtrip()


def test_refloor_moves_heights_alone():
    motion = walking(31)
    answer = corrected(Refloor(), rows(motion - 0.2 * UP))
    assert answer.verdict.tolist() == [Verdict.CHANGED]
    assert joint_error(decode(answer.proposed.x[0]), decode(rows(motion).x[0])) < 5


def test_contact_stops_skating():
    skating = walking(31) + np.linspace(0, 0.3, 31)[:, None, None] * np.array([1.0, 0.0, 0.0])
    before, after = rows(skating), corrected(Contact(), rows(skating)).proposed
    assert measure(decode(before.x[0]), 20.0).skating > 4
    assert measure(decode(after.x[0]), 20.0).skating < 2


def test_smooth_removes_jitter():
    noisy = walking(31) + np.random.default_rng(0).normal(size=(31, 22, 3)) * 0.01
    after = corrected(Smooth(), rows(noisy)).proposed
    assert measure(decode(after.x[0]), 20.0).jerk < 0.3 * measure(noisy, 20.0).jerk


def test_roundtrip_keeps_positions_and_repairs_velocities():
    samples = rows(walking(31))
    broken = samples.x.copy()
    broken[..., 193:] += 0.5  # joint velocities and contacts
    answer = corrected(Roundtrip(), samples.replace(x=broken))
    assert joint_error(decode(answer.proposed.x[0]), decode(samples.x[0])) < 0.01
    np.testing.assert_allclose(answer.proposed.x[0, :-1, 193:], samples.x[0, :-1, 193:], atol=1e-4)


def test_padding_length_and_captions_are_kept():
    samples = rows(walking(31), walking(12), standing(2))
    for corrector in (Refloor(), Contact(), Smooth(), Roundtrip()):
        answer = corrected(corrector, samples)
        for row, length in enumerate(samples["length"]):
            assert not answer.proposed.x[row, length:].any()
            assert np.isfinite(answer.proposed.x[row]).all()
        np.testing.assert_array_equal(answer.proposed["length"], samples["length"])


def test_rows_that_cannot_be_judged_fail():
    samples = rows(walking(31), walking(31), walking(31))
    x, length = samples.x.copy(), samples["length"].copy()
    x[0, 3, 5] = np.nan
    length[1] = 0
    for corrector in (Refloor(), Contact()):
        answer = corrected(corrector, samples.replace(x=x, length=length))
        assert answer.verdict.tolist() == [Verdict.FAILED, Verdict.FAILED, Verdict.CHANGED]


def test_other_data_are_refused():
    with pytest.raises(DataError, match="263"):
        corrected(Refloor(), Samples.of(np.zeros((3, 7))))
    with pytest.raises(DataError, match="lengths"):
        corrected(Smooth(), rows(walking(31)).replace(length=np.array([99], np.int32)))


def test_physics_makes_motions_physical():
    pytest.importorskip("mujoco", reason="the physics corrector needs mujoco: pip install 'ouroloop[motion]'")
    sunk = rows(walking(31) - 0.1 * UP, standing(20))
    answer = corrected(Physics(), sunk)
    assert answer.verdict.tolist() == [Verdict.CHANGED, Verdict.CHANGED]
    measures = measure(decode(answer.proposed.x[0]), 20.0)
    assert measures.penetration < 0.05
    assert measures.skating < 3
    again = corrected(Physics(threads=2), sunk)
    np.testing.assert_array_equal(again.proposed.x, answer.proposed.x)


def test_physics_can_drop_what_it_loses():
    pytest.importorskip("mujoco", reason="the physics corrector needs mujoco: pip install 'ouroloop[motion]'")
    leaping = walking(31) + 3.0 * np.clip(np.sin(np.arange(31) / 3.0), 0, None)[:, None, None] * UP
    helpless = {"residual_force": 0.01, "residual_lift": 0.01, "residual_torque": 1.0}
    assert corrected(Physics(recovery="drop", **helpless), rows(leaping)).verdict.tolist() == [Verdict.DROPPED]
    assert corrected(Physics(recovery="keep", **helpless), rows(leaping)).verdict.tolist() == [Verdict.KEPT]


def test_a_policy_that_cannot_be_used_is_refused_before_the_loop_begins(tmp_path):
    reference = Reference(real=Samples.of(np.zeros((1, 4, 263), np.float32), length=np.array([4], np.int32)))
    with pytest.raises(DataError, match=r"no file .*missing\.pt"):
        Physics(policy=str(tmp_path / "missing.pt")).fit(reference, key=Key(0))


@pytest.mark.parametrize("other", [{"search": 3}, {"balance": True}])
def test_options_that_exclude_one_another_are_refused_before_the_loop_begins(other):
    reference = Reference(real=Samples.of(np.zeros((1, 4, 263), np.float32), length=np.array([4], np.int32)))
    with pytest.raises(SpecError, match="choose one"):
        Physics(policy="policy.pt", **other).fit(reference, key=Key(0))
