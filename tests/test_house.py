"""What holds of the code base as a whole: how parts are kept apart, what is never called, what is written down."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ouroloop import __version__, registry
from ouroloop.options import options_model

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "ouroloop"
SOURCES = sorted(SRC.rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")])
PARTS = [(family, name) for family in registry.FAMILIES for name in registry.FAMILIES[family]]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> set[str]:
    """Full names of all modules that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


HEAVY = ("torch", "sklearn", "scipy", "pandas", "matplotlib", "pyarrow", "zuko", "mujoco", "torchvision", "torchaudio")
COMMAND = """
import sys
from ouroloop.cli import main
sys.argv = ["ouroloop", "{}"]
try:
    main()
except SystemExit:
    pass
"""


@pytest.mark.parametrize(
    "code",
    [
        "import ouroloop",
        "import ouroloop.cli, ouroloop.spec, ouroloop.registry, ouroloop.study",
        COMMAND.format("--help"),
        COMMAND.format("parts"),
    ],
    ids=["import", "modules", "help", "parts"],
)
def test_nothing_heavy_is_imported_at_the_start(code):
    code += f"\nimport sys; print('loaded:', *(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split() == ["loaded:"]


@pytest.mark.parametrize(("family", "name"), PARTS)
def test_every_part_can_be_had_and_says_what_its_options_are(family, name):
    part = registry.resolve(family, name)
    assert (part.__doc__ or "").strip(), f"{family}.{name} has no docstring"
    for option, field in options_model(part).model_fields.items():
        nested = option in getattr(part, "nested_parts", {})
        assert nested or (field.description or "").strip(), f"{family}.{name}.{option} has no description"


def test_parts_never_import_vision_or_audio_packages():
    for path in SOURCES:
        tops = {name.partition(".")[0] for name in imports(path)}
        assert not tops & {"torchvision", "torchaudio", "pandas"}, path


FAMILIES = {"generators", "correctors", "metrics", "regimes", "datasets", "theory", "report", "studies", "experiments"}
DRIVERS = {"loop", "step", "store", "assemble", "backends", "cli", "study", "spec", "features"}
CONTRACTS = ("errors", "keys", "samples", "pool", "correction", "protocols", "arrays", "progress")
KNOWS: dict[str, set[str]] = {  # of all these, what files of a folder (or a module) may import besides their own
    "generators": set(),
    "correctors": {"features"},
    "metrics": {"features"},
    "features": set(),
    "regimes": set(),
    "datasets": set(),
    "theory": set(),
    "report": {"store"},
    "experiments": {"theory", "datasets"},  # simulated loops and their laws; tables of real features
    **{module: set() for module in CONTRACTS},
}


@pytest.mark.parametrize("folder", KNOWS)
def test_no_part_imports_another_kind_of_part(folder):
    paths = [SRC / f"{folder}.py"] if (SRC / f"{folder}.py").exists() else sorted((SRC / folder).rglob("*.py"))
    assert paths
    for path in paths:
        others = {name.split(".")[1] for name in imports(path) if name.startswith("ouroloop.")}
        assert not (others & (FAMILIES | DRIVERS)) - KNOWS[folder] - {folder}, path.relative_to(ROOT)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_file_is_of_a_size_to_read(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 600, f"{path.relative_to(ROOT)} has {lines} lines; split it"


UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}
UNSAFE_ATTRIBUTES = {"yaml.unsafe_load", "yaml.full_load", "os.system", "os.popen"}
UNSAFE_ARGUMENTS = {("allow_pickle", True), ("weights_only", False), ("shell", True)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SRC)))
def test_nothing_is_unpickled_or_evaluated(path):
    assert not {name.partition(".")[0] for name in imports(path)} & UNSAFE_MODULES
    classes = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
    safe_loaders = {c.name for c in classes if [ast.unparse(base) for base in c.bases] == ["yaml.SafeLoader"]}
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        where = f"{path.relative_to(ROOT)}:{node.lineno}: {called}"
        assert called not in UNSAFE_CALLS | UNSAFE_ATTRIBUTES, where
        arguments = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
        assert not set(arguments.items()) & UNSAFE_ARGUMENTS, where
        if called == "yaml.load":
            assert {ast.unparse(k.value) for k in node.keywords if k.arg == "Loader"} <= safe_loaders, where
            assert len(node.keywords) == 1, where
        if called == "torch.load":
            assert arguments.get("weights_only") is True, where


GLOBAL_DRAWS = re.compile(
    r"\b(np|numpy)\.random\.(?!default_rng|Generator|Philox|RandomState|get_state|set_state|seed)\w+\("
)


def test_no_part_draws_from_a_global_generator():
    for path in SOURCES:
        assert not GLOBAL_DRAWS.search(path.read_text(encoding="utf-8")), path
        if path.name != "keys.py" and "testing" not in path.parts:
            assert "np.random.seed(" not in path.read_text(encoding="utf-8"), path


def slug(heading: str) -> str:
    text = re.sub(r"[`*\[\]]|\(.*?\)", "", heading).strip().lower()
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), f"{target}: no such file"
        if anchor and file.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {slug(h) for h in headings}, f"{target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_and_benchmarks_that_a_page_names_are_there(page):
    named = re.findall(r"`((?:tests|benchmarks)/[\w/]+\.(?:py|md))[`:]", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_benchmark_is_in_the_index():
    index = (ROOT / "benchmarks" / "README.md").read_text()
    for script in sorted((ROOT / "benchmarks").glob("*.py")):
        assert f"[{script.name}]({script.name})" in index
        assert ast.get_docstring(tree(script)), f"{script.name} does not say what it measures"


def requirements() -> list[str]:
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for extra in extras.values() for line in extra)]
    return sorted({re.split(r"[<>=!~\[ ]", line)[0].lower() for line in lines})


def test_every_study_has_a_page_and_every_page_is_in_the_index():
    pages = ROOT / "docs" / "studies"
    told = "\n".join(page.read_text() for page in pages.glob("*.md") if page.name != "index.md")
    for study in sorted((SRC / "studies").glob("*.yaml")):
        command = rf"ouroloop study {study.stem}(?![\w-])"
        assert re.search(command, told), f"no page in docs/studies tells of ouroloop study {study.stem}"
    index = (pages / "index.md").read_text()
    for page in sorted(set(pages.glob("*.md")) - {pages / "index.md"}):
        assert f"({page.name})" in index, f"docs/studies/index.md does not lead to {page.name}"


def test_every_dependency_is_pinned_for_the_tests_and_explained():
    pins = (ROOT / "constraints.txt").read_text().lower()
    table = (ROOT / "docs" / "dependencies.md").read_text().lower()
    for name in requirements():
        assert re.search(rf"^{re.escape(name)}==", pins, re.MULTILINE), f"{name} is not in constraints.txt"
        assert re.search(rf"^\| *{re.escape(name)} *\|", table, re.MULTILINE), f"{name} is not in docs/dependencies.md"
    assert "torch==2.13.0" in pins


def test_licence_and_versions_agree():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert PROJECT["license"] == "Apache-2.0"
    assert f"version: {__version__}" in (ROOT / "CITATION.cff").read_text()
    assert (SRC / "py.typed").exists()


def test_the_two_commands_of_the_readme_exist():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for command in ("demo", "test"):
        assert f"make {command}" in readme
        assert re.search(rf"^{command}:", makefile, re.MULTILINE)
