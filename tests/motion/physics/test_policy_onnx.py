"""Policies in ONNX files, written here node by node: the same answers as TorchScript's, and files that are no good."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from ouroloop.errors import DataError, PartError
from ouroloop.motion.examples import walking
from ouroloop.motion.physics.correct import correct
from ouroloop.motion.physics.options import PhysicsOptions
from ouroloop.motion.physics.policy import ACTION, OBSERVATION, load_policy

onnx = pytest.importorskip("onnx", reason="writing an ONNX file needs onnx: pip install 'ouroloop[dev]'")
pytest.importorskip("onnxruntime", reason="ONNX policies need onnxruntime: pip install 'ouroloop[policy]'")
FLOAT = onnx.TensorProto.FLOAT


def network(width: int = OBSERVATION, actions: int = ACTION) -> torch.nn.Sequential:
    torch.manual_seed(3)
    layers = torch.nn.Sequential(torch.nn.Linear(width, 16), torch.nn.Tanh(), torch.nn.Linear(16, actions))
    with torch.no_grad():
        layers[2].weight.mul_(0.02)  # small turns: at a servo's limit the simulator amplifies rounding errors
        layers[2].bias.mul_(0.1)
    return layers


def as_onnx(path: Path, layers: torch.nn.Sequential, *, extra_output: bool = False) -> Path:
    """Two linear layers and a tanh between them as an ONNX graph with the layers' weights."""
    first, last = layers[0], layers[2]
    weights = {"w1": first.weight, "b1": first.bias, "w2": last.weight, "b2": last.bias}
    nodes = [
        onnx.helper.make_node("Gemm", ["observation", "w1", "b1"], ["linear"], transB=1),
        onnx.helper.make_node("Tanh", ["linear"], ["hidden"]),
        onnx.helper.make_node("Gemm", ["hidden", "w2", "b2"], ["action"], transB=1),
    ]
    outputs = [onnx.helper.make_tensor_value_info("action", FLOAT, [1, last.out_features])]
    if extra_output:
        outputs.append(onnx.helper.make_tensor_value_info("hidden", FLOAT, [1, 16]))
    graph = onnx.helper.make_graph(
        nodes,
        "policy",
        [onnx.helper.make_tensor_value_info("observation", FLOAT, [1, first.in_features])],
        outputs,
        [onnx.numpy_helper.from_array(value.detach().numpy(), name) for name, value in weights.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def as_torchscript(path: Path, layers: torch.nn.Sequential) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(layers, torch.zeros(1, OBSERVATION)).save(str(path))
    return path


def test_the_same_weights_give_the_same_actions(tmp_path):
    layers = network()
    one, other = (
        load_policy(as_onnx(tmp_path / "p.onnx", layers)),
        load_policy(as_torchscript(tmp_path / "p.pt", layers)),
    )
    for observation in np.random.default_rng(0).normal(size=(5, 1, OBSERVATION)).astype(np.float32):
        action = one(observation)
        assert action.shape == (1, ACTION)
        assert np.abs(action).max() > 1e-3
        np.testing.assert_allclose(action, other(observation), atol=1e-6)


def test_the_same_weights_give_the_same_motion(tmp_path):
    pytest.importorskip("mujoco", reason="the physics corrector needs mujoco: pip install 'ouroloop[motion]'")
    layers, clip = network(), walking(10)
    paths = (as_onnx(tmp_path / "p.onnx", layers), as_torchscript(tmp_path / "p.pt", layers), None)
    one, other, without = (
        correct([clip], 20.0, PhysicsOptions(policy=path and str(path)))[0].positions for path in paths
    )
    np.testing.assert_allclose(one, other, atol=1e-4)
    assert np.abs(one - without).max() > 5e-3  # the policy does something


@pytest.mark.parametrize(
    ("width", "actions", "text"),
    [
        (7, ACTION, rf"p.onnx could not be run.*Got: {OBSERVATION} Expected: 7.*\(1, {OBSERVATION}\)"),
        (OBSERVATION, 12, rf"p.onnx answered with an action of shape \(1, 12\).*\(1, {ACTION}\)"),
    ],
)
def test_other_shapes_are_refused(tmp_path, width, actions, text):
    with pytest.raises(PartError, match=text):
        load_policy(as_onnx(tmp_path / "p.onnx", network(width, actions)))


def test_not_a_number_is_refused_when_it_is_answered(tmp_path):
    layers = network()
    with torch.no_grad():
        layers[2].bias[5] = float("nan")
    run = load_policy(as_onnx(tmp_path / "p.onnx", layers))
    with pytest.raises(PartError, match=r"p\.onnx answered with NaN.*compare"):
        run(np.zeros((1, OBSERVATION), np.float32))


def test_two_outputs_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"p\.onnx has 1 inputs and 2 outputs; export"):
        load_policy(as_onnx(tmp_path / "p.onnx", network(), extra_output=True))


@pytest.mark.parametrize("content", [b"hello", b""], ids=["text", "empty"])
def test_files_that_are_not_onnx(tmp_path, content):
    (tmp_path / "p.onnx").write_bytes(content)
    with pytest.raises(DataError, match=r"p\.onnx is not an ONNX file .*torch\.onnx\.export"):
        load_policy(tmp_path / "p.onnx")


def test_a_truncated_file_is_refused(tmp_path):
    path = as_onnx(tmp_path / "p.onnx", network())
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"p\.onnx is not an ONNX file"):
        load_policy(path)
