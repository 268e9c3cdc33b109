"""Policies in the loop: what they are shown, what they may do, and files that are none."""

from __future__ import annotations

import os
import sys
import warnings

import numpy as np
import pytest
import torch

from ouroloop.errors import DataError, MissingExtraError, PartError
from ouroloop.motion.examples import standing, walking
from ouroloop.motion.physics.correct import correct
from ouroloop.motion.physics.measures import joint_error
from ouroloop.motion.physics.options import PhysicsOptions
from ouroloop.motion.physics.policy import ACTION, OBSERVATION, load_policy

FPS = 20.0


class Constant(torch.nn.Module):
    """Turns one joint's set point by a constant."""

    def __init__(self, number: int, angle: float, width: int = ACTION) -> None:
        super().__init__()
        action = torch.zeros(1, width)
        action[0, number] = angle
        self.register_buffer("action", action)

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        return self.action + 0.0 * observation[:, :1]


def saved(path, module, width: int = OBSERVATION) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module, torch.zeros(1, width)).save(str(path))
    return str(path)


@pytest.fixture
def mujoco():
    return pytest.importorskip("mujoco", reason="the physics corrector needs mujoco: pip install 'ouroloop[motion]'")


def test_a_policy_that_does_nothing_tracks_as_without_one(tmp_path, mujoco):
    path = saved(tmp_path / "still.pt", Constant(0, 0.0))
    clip = walking(20)
    with_policy = correct([clip], FPS, PhysicsOptions(policy=path))[0]
    assert joint_error(with_policy.positions, clip) < 20
    assert not with_policy.fell


def test_a_policy_moves_the_joint_that_it_turns(tmp_path, mujoco):
    bend = saved(tmp_path / "bend.pt", Constant(3 * (19 - 1) + 2, 0.4))  # right elbow, about z
    clip = standing(20)
    bent = correct([clip], FPS, PhysicsOptions(policy=bend))[0].positions
    moved = np.linalg.norm(bent - clip, axis=-1)[-1]
    assert moved[21] > 0.05
    assert moved[20] < 0.02


def test_neighbours_do_not_matter(tmp_path, mujoco):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(OBSERVATION, 16), torch.nn.Tanh(), torch.nn.Linear(16, ACTION))
    with torch.no_grad():
        network[2].weight.mul_(0.02)
    options = PhysicsOptions(policy=saved(tmp_path / "small.pt", network))
    clips = [walking(12), standing(9)]
    together, alone = correct(clips, FPS, options), [correct([clip], FPS, options)[0] for clip in clips]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(a.positions, b.positions)


@pytest.mark.parametrize(("module", "text"), [(Constant(0, 0.0, 7), r"\(1, 63\)"), (Constant(0, float("nan")), "NaN")])
def test_wrong_actions_are_refused(tmp_path, mujoco, module, text):
    with pytest.raises(PartError, match=f"wrong.pt.*{text}"):
        correct([standing(8)], FPS, PhysicsOptions(policy=saved(tmp_path / "wrong.pt", module)))


def test_a_network_for_other_observations_is_refused(tmp_path):
    path = saved(tmp_path / "other.pt", torch.nn.Linear(7, ACTION), 7)
    with pytest.raises(PartError, match=rf"other.pt could not be run.*7.*\(1, {OBSERVATION}\)"):
        load_policy(path)


def test_files_that_are_no_policies(tmp_path, monkeypatch):
    for name in ("missing.pt", "missing.onnx"):
        with pytest.raises(DataError, match=f"no file .*{name}; give"):
            load_policy(tmp_path / name)
    for name, text in (("readme.txt", r"readme.txt.*TorchScript.*\.onnx"), ("broken.pt", "broken.pt.*jit.trace")):
        (tmp_path / name).write_text("hello")
        with pytest.raises(DataError, match=text):
            load_policy(tmp_path / name)
    (tmp_path / "policy.onnx").write_text("hello")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"ouroloop\[policy\]"):
        load_policy(tmp_path / "policy.onnx")


def test_a_file_is_read_once_until_it_changes(tmp_path):
    path = saved(tmp_path / "still.pt", Constant(0, 0.0))
    first = load_policy(path)
    assert load_policy(path) is first
    saved(tmp_path / "still.pt", Constant(0, 0.25))
    os.utime(path, ns=(1, 1))  # a file system may count in coarse steps
    assert load_policy(path)(np.zeros((1, OBSERVATION), np.float32))[0, 0] == 0.25
