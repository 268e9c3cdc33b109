"""What a user may choose of the physics corrector."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ouroloop.errors import SpecError
from ouroloop.motion.physics.conditioning import ConditioningOptions
from ouroloop.motion.physics.humanoid import ResidualBounds, ResidualServo

__all__ = ["PhysicsOptions"]


@dataclass(frozen=True, kw_only=True)
class PhysicsOptions:
    """Options of `ouroloop.motion.physics.correct.correct`.

    Args:
        mode: "full" (conditioning, then simulation), "kinematic" (conditioning alone) or "simulation" (the first
            frame is put on the floor, then simulation: what the published pipeline does).
        bounds: of the residual wrench. servo: its stiffness.
        recovery: what becomes of a clip that is lost. "retry": tried again with the bounds times each of `retries`,
            and blended if lost to the last. "blend": simulated up to the loss, kinematic from there on.
            "keep": the input as it was. "drop": no motion.
        retries: factors on the bounds.
        lost_at: m, mean joint distance from the reference at which a clip counts as lost.
        floor: what lies at height 0, in and out: "joints" (the foot joints of a standing body, HumanML3D's habit) or
            "soles" (the surface of the soles).
        balance: let the feet push to keep balance; slower, needs less help from outside. Not with a policy.
        search: passes of a search by sampling for clips that the simulation loses or follows badly at the bounds asked
            for, before they get more help; 0 for none. Each pass costs about as much as 64 simulations of the clip.
            It steers plain servos, without `balance`, and not with a policy. See `ouroloop.motion.physics.search`.
        policy: a TorchScript or ONNX file that steers the servos; see `ouroloop.motion.physics.policy`.
        timestep: s, of the simulator. threads: clips worked on at once. group: clips a batch.
        conditioning: see `ConditioningOptions`.

    Raises:
        SpecError: a value out of its range.
    """

    mode: Literal["full", "kinematic", "simulation"] = "full"
    bounds: ResidualBounds = field(default_factory=ResidualBounds)
    servo: ResidualServo = field(default_factory=ResidualServo)
    recovery: Literal["retry", "blend", "keep", "drop"] = "retry"
    retries: tuple[float, ...] = (2.0, 4.0)
    lost_at: float = 0.4
    floor: Literal["joints", "soles"] = "joints"
    balance: bool = False
    search: int = 0
    policy: str | None = None
    timestep: float = 1.0 / 240.0
    threads: int = 1
    group: int = 16
    conditioning: ConditioningOptions = field(default_factory=ConditioningOptions)

    def __post_init__(self) -> None:
        choices = (
            ("mode", self.mode, ("full", "kinematic", "simulation")),
            ("recovery", self.recovery, ("retry", "blend", "keep", "drop")),
            ("floor", self.floor, ("joints", "soles")),
        )
        for name, value, allowed in choices:
            if value not in allowed:
                raise SpecError(f"{name}: got {value!r}; expected one of {', '.join(allowed)}")
        bounds = (self.bounds.horizontal, self.bounds.vertical, self.bounds.torque)
        if not all(bound >= 0 for bound in bounds):
            raise SpecError(f"bounds: got {bounds}; the residual wrench's bounds are 0 or more")
        if self.balance and self.policy:
            raise SpecError("balance and policy: got both; either steers the legs, so choose one")
        if self.search < 0:
            raise SpecError(f"search: got {self.search}; expected a number of passes, 0 (no search) or more")
        if self.search and self.policy:
            raise SpecError("search and policy: got both; either steers the body, so choose one")
        if self.threads < 1 or self.group < 1 or not 0 < self.timestep <= 0.02:
            raise SpecError(
                f"threads {self.threads}, group {self.group}, timestep {self.timestep}: expected at least one thread, "
                "at least one clip a group, and a time step above 0 and up to 0.02 s"
            )
