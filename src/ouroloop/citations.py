"""The works behind a run: BibTeX for the parts that it uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["bibtex_for"]

_WORKS: dict[str, tuple[str, str, str, str]] = {
    "gillman2024selfcorrecting": (
        "Gillman, Nate and Freeman, Michael and Aggarwal, Daksh and Hsu, Chia-Hong and Luo, Calvin and Tian, Yonglong "
        "and Sun, Chen",
        "Self-Correcting Self-Consuming Loops for Generative Model Training",
        "2024",
        "2402.07087",
    ),
    "bertrand2024stability": (
        "Bertrand, Quentin and Bose, Avishek Joey and Duplessis, Alexandre and Jiralerspong, Marco and Gidel, Gauthier",
        "On the Stability of Iterative Retraining of Generative Models on their own Data",
        "2024",
        "2310.00429",
    ),
    "gerstgrasser2024accumulating": (
        "Gerstgrasser, Matthias and others",
        "Is Model Collapse Inevitable? Breaking the Curse of Recursion by Accumulating Real and Synthetic Data",
        "2024",
        "2404.01413",
    ),
    "kazdan2024collapse": (
        "Kazdan, Joshua and others",
        "Collapse or Thrive? Perils and Promises of Synthetic Data in a Self-Generating World",
        "2024",
        "2410.16713",
    ),
    "shumailov2023curse": (
        "Shumailov, Ilia and others",
        "The Curse of Recursion: Training on Generated Data Makes Models Forget",
        "2023",
        "2305.17493",
    ),
    "alemohammad2023mad": (
        "Alemohammad, Sina and others",
        "Self-Consuming Generative Models Go MAD",
        "2023",
        "2307.01850",
    ),
    "ferbach2024curated": (
        "Ferbach, Damien and Bertrand, Quentin and Bose, Avishek Joey and Gidel, Gauthier",
        "Self-Consuming Generative Models with Curated Data Provably Optimize Human Preferences",
        "2024",
        "2407.09499",
    ),
    "feng2024verification": (
        "Feng, Yunzhen and others",
        "Beyond Model Collapse: Scaling Up with Synthesized Data Requires Verification",
        "2024",
        "2406.07515",
    ),
    "elfirdoussi2024maximizing": (
        "El Firdoussi, Aymane and others",
        "Maximizing the Potential of Synthetic Data: Insights from Random Matrix Theory",
        "2024",
        "2410.08942",
    ),
    "fu2024theoretical": (
        "Fu, Shi and others",
        "Towards Theoretical Understandings of Self-Consuming Generative Models",
        "2024",
        "2402.11778",
    ),
    "dohmatob2024demystified": (
        "Dohmatob, Elvis and Feng, Yunzhen and Kempe, Julia",
        "Model Collapse Demystified: The Case of Regression",
        "2024",
        "2402.07712",
    ),
    "dohmatob2024strong": (
        "Dohmatob, Elvis and Feng, Yunzhen and Subramonian, Arjun and Kempe, Julia",
        "Strong Model Collapse",
        "2024",
        "2410.04840",
    ),
    "he2025golden": (
        "He, Hengzhi and Xu, Shirong and Cheng, Guang",
        "Golden Ratio Weighting Prevents Model Collapse",
        "2025",
        "2502.18049",
    ),
    "karras2022edm": (
        "Karras, Tero and Aittala, Miika and Aila, Timo and Laine, Samuli",
        "Elucidating the Design Space of Diffusion-Based Generative Models",
        "2022",
        "2206.00364",
    ),
    "lu2022dpmpp": (
        "Lu, Cheng and others",
        "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models",
        "2022",
        "2211.01095",
    ),
    "ho2022cfg": ("Ho, Jonathan and Salimans, Tim", "Classifier-Free Diffusion Guidance", "2022", "2207.12598"),
    "naeem2020prdc": (
        "Naeem, Muhammad Ferjad and others",
        "Reliable Fidelity and Diversity Metrics for Generative Models",
        "2020",
        "2002.09797",
    ),
    "heusel2017gans": (
        "Heusel, Martin and others",
        "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
        "2017",
        "1706.08500",
    ),
    "binkowski2018mmd": ("Bi\\'nkowski, Miko\\l{}aj and others", "Demystifying MMD GANs", "2018", "1801.01401"),
}
_USED_BY: dict[tuple[str, str], tuple[str, ...]] = {
    ("regime", "replace"): ("shumailov2023curse",),
    ("regime", "accumulate"): ("gerstgrasser2024accumulating",),
    ("regime", "accumulate_subsample"): ("kazdan2024collapse",),
    ("regime", "fixed_real"): ("bertrand2024stability",),
    ("regime", "fresh_real"): ("alemohammad2023mad",),
    ("regime", "linear_accumulate"): ("gillman2024selfcorrecting",),
    ("corrector", "ideal"): ("gillman2024selfcorrecting",),
    ("corrector", "cluster"): ("gillman2024selfcorrecting",),
    ("corrector", "histogram"): ("gillman2024selfcorrecting",),
    ("corrector", "transport"): ("gillman2024selfcorrecting",),
    ("corrector", "curate"): ("ferbach2024curated",),
    ("corrector", "verifier"): ("feng2024verification", "elfirdoussi2024maximizing"),
    ("experiment", "discrete_loop"): ("kazdan2024collapse",),
    ("experiment", "distorted_loop"): ("gillman2024selfcorrecting", "bertrand2024stability"),
    ("experiment", "eigenvalue_verifier"): ("feng2024verification",),
    ("experiment", "finite_curation"): ("ferbach2024curated",),
    ("experiment", "gaussian_loop"): ("kazdan2024collapse", "gerstgrasser2024accumulating"),
    ("experiment", "image_classifier"): ("elfirdoussi2024maximizing",),
    ("experiment", "kernel_loop"): ("fu2024theoretical",),
    ("experiment", "kernel_mixture"): ("fu2024theoretical",),
    ("experiment", "linear_verifier"): ("feng2024verification",),
    ("experiment", "mixed_regression"): ("dohmatob2024strong",),
    ("experiment", "regression_loop"): ("gerstgrasser2024accumulating", "kazdan2024collapse"),
    ("experiment", "relabelled_regression"): ("dohmatob2024demystified",),
    ("experiment", "ridge_classifier"): ("elfirdoussi2024maximizing", "feng2024verification"),
    ("experiment", "tabular_classifier"): ("elfirdoussi2024maximizing",),
    ("experiment", "weighted_loop"): ("he2025golden",),
    ("generator", "diffusion"): ("karras2022edm",),
    ("generator", "image_diffusion"): ("karras2022edm", "lu2022dpmpp", "ho2022cfg"),
    ("metrics", "fid"): ("heusel2017gans",),
    ("metrics", "kid"): ("binkowski2018mmd",),
    ("metrics", "prdc"): ("naeem2020prdc",),
}


def bibtex_for(specs: Iterable[Mapping[str, Any]]) -> str:
    """BibTeX entries of the software and of every work that the specifications' parts come from."""
    keys: dict[str, None] = {}
    for spec in specs:
        for field in ("regime", "corrector", "generator", "metrics", "experiment"):
            given = spec.get(field, [])
            parts = list(given) if isinstance(given, list) else [given]
            for part in parts:
                parts.extend(part.get("parts", ()))  # a chain's members, found as the list grows
                keys.update(dict.fromkeys(_USED_BY.get((field, part.get("kind", "")), ())))
    return "\n\n".join([_software(), *(_entry(key) for key in keys)])


def _software() -> str:
    from ouroloop import __version__

    return (
        "@software{ouroloop,\n  author = {{The Ouroloop authors}},\n"
        "  title = {Ouroloop: self-consuming training loops, run, corrected, measured and forecast},\n"
        f"  version = {{{__version__}}}\n}}"
    )


def _entry(key: str) -> str:
    author, title, year, arxiv = _WORKS[key]
    return (
        f"@article{{{key},\n  author = {{{author}}},\n  title = {{{title}}},\n  year = {{{year}}},\n"
        f"  journal = {{arXiv:{arxiv}}},\n  url = {{https://arxiv.org/abs/{arxiv}}}\n}}"
    )
