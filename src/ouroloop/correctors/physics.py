r"""Correction by physics: every motion becomes that of a simulated humanoid that tracks it.

The simulated body has mass, contacts, friction and bounded torques; a bounded and reported residual wrench on its
pelvis stands in for the balance that it lacks. See `ouroloop.motion.physics` and docs/physics.md.

Source: SCSC (arXiv 2402.07087), section 5, whose corrector is UHC (arXiv 2106.05969), a trained policy with residual
forces of its own; ours needs no training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from ouroloop.correction import Correction
from ouroloop.correctors.motion_rows import Judged, by_positions
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples, Verdict

if TYPE_CHECKING:
    from ouroloop.motion.physics.options import PhysicsOptions
    from ouroloop.motion.physics.result import PhysicsResult

__all__ = ["Physics"]

_VERDICTS = {
    "unchanged": Verdict.CHANGED,  # nothing was wrong, but the row is the simulated motion nevertheless
    "corrected": Verdict.CHANGED,
    "blended": Verdict.CHANGED,
    "kept": Verdict.KEPT,
    "dropped": Verdict.DROPPED,
    "failed": Verdict.FAILED,
}


@dataclass(frozen=True, kw_only=True)
class Physics:
    """Motions replaced by those of a simulated humanoid that tracks them.

    Rows are HumanML3D features at 20 frames a second (``x``, ``length``). A row's answer depends on that row alone.

    Args:
        mode: see `ouroloop.motion.physics.options.PhysicsOptions`.
        residual_force: bound of the residual force sideways, in body weights.
        residual_lift: bound of the residual force up and down, in body weights.
        residual_torque: bound of the residual torque, in N m.
        recovery: what becomes of motions that the simulation loses.
        balance: whether the feet push to keep balance; see `ouroloop.motion.physics.balance`.
        search: passes of a search by sampling for motions that are lost otherwise; see
            `ouroloop.motion.physics.search`.
        policy: a trained policy in the loop; see `ouroloop.motion.physics.policy`.
        threads: motions simulated at once.

    Raises:
        MissingExtraError: MuJoCo is not installed (when it corrects).
    """

    mode: Annotated[
        Literal["full", "kinematic", "simulation"],
        Field(description="full: conditioned, then simulated; kinematic, simulation: one of the two alone"),
    ] = "full"
    residual_force: Annotated[
        float, Field(ge=0, description="bound of the residual force sideways, in body weights")
    ] = 1.0
    residual_lift: Annotated[
        float, Field(ge=0, description="bound of the residual force up and down, in body weights")
    ] = 0.5
    residual_torque: Annotated[float, Field(ge=0, description="bound of the residual torque, in newton metres")] = 250.0
    recovery: Annotated[
        Literal["retry", "blend", "keep", "drop"],
        Field(
            description="a lost motion is simulated again with wider bounds (then blended), blended with its "
            "kinematic version, kept as it was, or dropped"
        ),
    ] = "retry"
    balance: Annotated[
        bool, Field(description="let the feet push to keep balance: slower, and needs less help from outside")
    ] = False
    search: Annotated[
        int,
        Field(
            ge=0,
            description="passes of a search by sampling for motions that are lost otherwise, each as slow as 64 "
            "simulations; 0: none",
        ),
    ] = 0
    policy: Annotated[
        str | None, Field(description="TorchScript or ONNX file of a policy that steers the servos; None: no policy")
    ] = None
    threads: Annotated[int, Field(ge=1, description="motions simulated at once")] = 1

    def fit(self, reference: Reference, *, key: Key) -> Physics:
        """Nothing to prepare, as bodies are measured from the motions; what cannot be used is refused.

        Raises:
            SpecError: options that exclude one another.
            DataError, PartError: see `ouroloop.motion.physics.policy.load_policy`.
            MissingExtraError: the policy is an ONNX file, and onnxruntime is not installed.
        """
        self._options()
        if self.policy:
            from ouroloop.motion.physics.policy import load_policy

            load_policy(self.policy)
        return replace(self)

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """Every motion simulated; see `recovery` for those that are lost."""
        return by_positions(synthetic, self.judge)

    def judge(self, motions: list[np.ndarray], fps: float) -> Judged:
        """Joint positions (T, 22, 3) in m, y up, at any frame rate, simulated."""
        results = self.simulate(motions, fps)
        return [result.positions for result in results], self.verdicts(results)

    def verdicts(self, results: Sequence[PhysicsResult]) -> list[Verdict]:
        """The loop's verdict for each of the simulation's."""
        return [_VERDICTS[result.verdict] for result in results]

    def simulate(
        self, motions: list[np.ndarray], fps: float, *, progress: Callable[[int], None] | None = None
    ) -> list[PhysicsResult]:
        """The same with all that the simulation says of every motion; `progress` is told of motions done.

        Raises:
            MissingExtraError: MuJoCo is not installed.
        """
        from ouroloop.motion.physics.correct import correct

        return correct(motions, fps, self._options(), progress=progress)

    def _options(self) -> PhysicsOptions:
        from ouroloop.motion.physics.humanoid import ResidualBounds
        from ouroloop.motion.physics.options import PhysicsOptions

        return PhysicsOptions(
            mode=self.mode,
            bounds=ResidualBounds(self.residual_force, self.residual_lift, self.residual_torque),
            recovery=self.recovery,
            balance=self.balance,
            search=self.search,
            policy=self.policy,
            threads=self.threads,
        )
