"""The experiment and the study in docs/experiments.md do what the page says."""

import re
from pathlib import Path

from ouroloop import registry
from ouroloop.study import Study, run_study

PAGE = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text()


def test_the_study_of_the_page_holds(tmp_path):
    (tmp_path / "page.yaml").write_text(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])
    results = run_study(Study.read(tmp_path / "page.yaml"), tmp_path / "out")
    assert [r.verdict for r in results] == ["holds", "holds"]


def test_the_experiment_of_the_page_runs(tmp_path, monkeypatch):
    (tmp_path / "coin_of_the_page.py").write_text(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0])
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(registry.FAMILIES["experiments"], "coin", "coin_of_the_page:Coin")
    registry._members.cache_clear()
    try:
        (tmp_path / "coin.yaml").write_text(
            "name: coin\nbackend: experiment\nseeds: [0, 1]\nbase: {experiment: {kind: coin, bias: 1.0}}\n"
            "arms: [{name: a}]\nchecks: [{statement: s, left: {arm: a, metric: heads, at: all}, relation: near, "
            "right: {arm: a, metric: heads, forecast: law, at: all}, tolerance: 1.0e-9}]\n"
        )
        results = run_study(Study.read(tmp_path / "coin.yaml"), tmp_path / "out")
        assert [r.verdict for r in results] == ["holds"]
    finally:
        registry._members.cache_clear()
