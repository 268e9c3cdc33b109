"""The parts by name: one line each, imported only when used. Third parties add theirs by entry points.

An installed package adds a part with an entry point in the group ``ouroloop.<family>``, for example
``[project.entry-points."ouroloop.correctors"]  mine = "my_package:MyCorrector"``.
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from ouroloop.errors import SpecError

__all__ = ["FAMILIES", "name_of", "names", "resolve"]

FAMILIES: dict[str, dict[str, str]] = {
    "datasets": {
        "arrays": "ouroloop.datasets.files:Files",
        "digits": "ouroloop.datasets.digits:Digits",
        "gaussian": "ouroloop.datasets.gaussian:GaussianTarget",
        "mixture": "ouroloop.datasets.mixture:MixtureTarget",
        "mnist": "ouroloop.datasets.mnist:Mnist",
        "motions": "ouroloop.datasets.motions:Motions",
        "text": "ouroloop.datasets.text:Text",
    },
    "generators": {
        "command": "ouroloop.generators.command:Command",
        "diffusion": "ouroloop.generators.diffusion:Diffusion",
        "gaussian": "ouroloop.generators.gaussian:Gaussian",
        "gaussian_mixture": "ouroloop.generators.gaussian_mixture:GaussianMixture",
        "image_diffusion": "ouroloop.generators.image_diffusion:ImageDiffusion",
        "flow": "ouroloop.generators.flow:Flow",
        "kde": "ouroloop.generators.kde:Kde",
        "motion_diffusion": "ouroloop.generators.motion_diffusion:MotionDiffusion",
        "ngram": "ouroloop.generators.ngram:Ngram",
        "vae": "ouroloop.generators.vae:Vae",
    },
    "regimes": {
        "accumulate": "ouroloop.regimes:Accumulate",
        "accumulate_subsample": "ouroloop.regimes:AccumulateSubsample",
        "fixed_real": "ouroloop.regimes:FixedReal",
        "fresh_real": "ouroloop.regimes:FreshReal",
        "linear_accumulate": "ouroloop.regimes:LinearAccumulate",
        "real_only": "ouroloop.regimes:RealOnly",
        "replace": "ouroloop.regimes:Replace",
    },
    "correctors": {
        "chain": "ouroloop.correctors.chain:Chain",
        "cluster": "ouroloop.correctors.cluster:Cluster",
        "contact": "ouroloop.correctors.contact:Contact",
        "curate": "ouroloop.correctors.curate:Curate",
        "deduplicate": "ouroloop.correctors.deduplicate:Deduplicate",
        "histogram": "ouroloop.correctors.histogram:Histogram",
        "ideal": "ouroloop.correctors.ideal:Ideal",
        "identity": "ouroloop.correctors.identity:Identity",
        "nearest_real": "ouroloop.correctors.nearest_real:NearestReal",
        "physics": "ouroloop.correctors.physics:Physics",
        "refloor": "ouroloop.correctors.refloor:Refloor",
        "roundtrip": "ouroloop.correctors.roundtrip:Roundtrip",
        "smooth": "ouroloop.correctors.smooth:Smooth",
        "transport": "ouroloop.correctors.transport:Transport",
        "verifier": "ouroloop.correctors.verifier:Verifier",
    },
    "features": {
        "classifier": "ouroloop.features.classifier:Classifier",
        "identity": "ouroloop.features.identity:Identity",
        "motion": "ouroloop.features.motion_evaluator:MotionEvaluator",
        "motion_physics": "ouroloop.features.motion_physics:MotionPhysics",
        "pca": "ouroloop.features.pca:Pca",
    },
    "metrics": {
        "classes": "ouroloop.metrics.classes:Classes",
        "cross_entropy": "ouroloop.metrics.cross_entropy:CrossEntropy",
        "diversity": "ouroloop.metrics.diversity:Diversity",
        "energy": "ouroloop.metrics.energy:Energy",
        "fid": "ouroloop.metrics.fid:Fid",
        "gaussian_w2": "ouroloop.metrics.gaussian_w2:GaussianW2",
        "kid": "ouroloop.metrics.kid:Kid",
        "matching": "ouroloop.metrics.matching:Matching",
        "mmd": "ouroloop.metrics.mmd:Mmd",
        "moments": "ouroloop.metrics.moments:Moments",
        "multimodality": "ouroloop.metrics.multimodality:Multimodality",
        "nearest_real": "ouroloop.metrics.nearest_real:NearestReal",
        "nll": "ouroloop.metrics.nll:Nll",
        "physics_errors": "ouroloop.metrics.physics_errors:PhysicsErrors",
        "prdc": "ouroloop.metrics.prdc:Prdc",
        "reward": "ouroloop.metrics.reward:Reward",
        "sliced_w2": "ouroloop.metrics.sliced_w2:SlicedW2",
        "token_variety": "ouroloop.metrics.token_variety:TokenVariety",
    },
    "experiments": {
        "discrete_loop": "ouroloop.experiments.closed_loops:DiscreteLoop",
        "distorted_loop": "ouroloop.experiments.distorted_loop:DistortedLoop",
        "eigenvalue_verifier": "ouroloop.experiments.eigenvalue_verifier:EigenvalueVerifier",
        "finite_curation": "ouroloop.experiments.finite_curation:FiniteCuration",
        "gaussian_loop": "ouroloop.experiments.closed_loops:GaussianLoop",
        "image_classifier": "ouroloop.experiments.image_classifier:ImageClassifier",
        "kernel_loop": "ouroloop.experiments.kernel_density:KernelLoop",
        "kernel_mixture": "ouroloop.experiments.kernel_density:KernelMixture",
        "linear_verifier": "ouroloop.experiments.linear_verifier:LinearVerifier",
        "mixed_regression": "ouroloop.experiments.regressions:MixedRegression",
        "regression_loop": "ouroloop.experiments.closed_loops:RegressionLoop",
        "relabelled_regression": "ouroloop.experiments.regressions:RelabelledRegression",
        "ridge_classifier": "ouroloop.experiments.ridge_classifier:RidgeClassifier",
        "tabular_classifier": "ouroloop.experiments.tabular_classifier:TabularClassifier",
        "weighted_loop": "ouroloop.experiments.weighted_loop:WeightedLoop",
    },
}


@cache
def _members(family: str) -> dict[str, str]:
    if family not in FAMILIES:
        raise SpecError(f"no family of parts '{family}'; there are: {', '.join(FAMILIES)}")
    third = {e.name: e.value for e in entry_points(group=f"ouroloop.{family}")}
    return {**third, **FAMILIES[family]}  # ours win: a package cannot silently replace a built-in part


def names(family: str) -> tuple[str, ...]:
    """Names of the parts of a family, sorted; nothing is imported."""
    return tuple(sorted(_members(family)))


def resolve(family: str, name: str) -> Any:
    """The class (or factory) of a part, imported now.

    Raises:
        SpecError: there is no such part; the message lists those that there are.
    """
    members = _members(family)
    if name not in members:
        raise SpecError(f"{family}: no part '{name}'; there are: {', '.join(sorted(members))}")
    module, _, attribute = members[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def name_of(family: str, part: Any) -> str | None:
    """The name under which a part's class is registered, or None."""
    location = f"{type(part).__module__}:{type(part).__qualname__}"
    return next((name for name, target in _members(family).items() if target == location), None)
