"""Calling objects that know nothing of this project: copies, seeds, signatures, arrays, errors."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ouroloop.errors import OuroloopError, PartError
from ouroloop.keys import Key

__all__ = [
    "as_array",
    "blamed",
    "copy_of",
    "is_estimator",
    "name_of",
    "parameter_named",
    "seed_keywords",
    "seeded_copy",
]

_SEEDS = ("random_state", "seed", "rng")


def name_of(obj: Any) -> str:
    """Qualified name of an object's class (or of a function or class itself)."""
    target = obj if inspect.isclass(obj) or inspect.isroutine(obj) else type(obj)
    return f"{target.__module__}.{target.__qualname__}"


@contextlib.contextmanager
def blamed(obj: Any, stage: str) -> Iterator[None]:
    """Turn what foreign code raises inside the block into a PartError that names the object and the stage."""
    try:
        yield
    except OuroloopError:
        raise
    except Exception as error:
        raise PartError(f"{name_of(obj)}: {stage} failed: {type(error).__name__}: {error}") from error


def is_estimator(obj: Any) -> bool:
    """Whether an object follows scikit-learn's conventions for parameters."""
    return callable(getattr(obj, "get_params", None)) and callable(getattr(obj, "set_params", None))


def copy_of(obj: Any, *, fitted: bool) -> Any:
    """An independent copy; of an estimator that is not fitted one with the same parameters and nothing learnt."""
    with blamed(obj, "copying (give it a __deepcopy__ method, so that the loop never changes yours)"):
        if is_estimator(obj) and not fitted:
            from sklearn.base import clone

            return clone(obj)
        return copy.deepcopy(obj)


def seeded_copy(obj: Any, key: Key, *, fitted: bool) -> Any:
    """A copy whose `random_state`, `seed` and `rng`, where it has them, are set from a key."""
    result = copy_of(obj, fitted=fitted)
    if is_estimator(result):
        names = [name for name in _SEEDS if name in result.get_params(deep=False)]
        with blamed(obj, "setting its seed"):
            result.set_params(**{name: _seed_like(getattr(result, name, None), name, key) for name in names})
        return result
    for name in _SEEDS:
        current = getattr(result, name, None)
        if hasattr(result, name) and not callable(current):
            with blamed(obj, f"setting its {name}"):
                setattr(result, name, _seed_like(current, name, key))
    return result


def seed_keywords(function: Callable[..., Any], key: Key) -> dict[str, Any]:
    """Keywords `random_state`, `seed` and `rng` for those that a function takes."""
    parameters = _parameters(function)
    return {name: _seed_like(None, name, key) for name in _SEEDS if name in parameters}


def parameter_named(function: Callable[..., Any], names: tuple[str, ...]) -> inspect.Parameter | None:
    """The first of these parameters that a function takes by keyword, or None."""
    parameters = _parameters(function)
    return next((parameters[name] for name in names if name in parameters), None)


def as_array(value: Any) -> np.ndarray:
    """An array of a list, a table or a torch tensor on any device."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
        return value.numpy()
    return np.asarray(value)


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        found = inspect.signature(function).parameters
    except (TypeError, ValueError):  # built-in functions may have no signature
        return {}
    return {name: p for name, p in found.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def _seed_like(current: Any, name: str, key: Key) -> Any:
    """A seed of the kind that is there already: a generator of numpy or torch, or a whole number."""
    if isinstance(current, np.random.RandomState):
        return np.random.RandomState(key.integer(32))
    if type(current).__module__.startswith("torch") and hasattr(current, "manual_seed"):
        return key.torch(current.device)
    if isinstance(current, np.random.Generator) or (name == "rng" and not isinstance(current, int)):
        return key.rng()
    return key.integer()
