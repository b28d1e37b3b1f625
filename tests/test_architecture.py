"""The lines of the house: what the daemon never loads, who may import whom, and how light it stays."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import atles
from tests.conftest import Learned

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "atles"
HEAVY = frozenset(
    "torch transformers peft numpy tokenizers safetensors gguf accelerate onnxruntime xllamacpp fsspec".split()
)
OURS = [file for file in sorted(PACKAGE.rglob("*.py")) if "ml" not in file.relative_to(PACKAGE).parts]


def test_a_daemon_that_has_learned_never_imported_what_is_heavy(learned: Learned) -> None:
    assert "atles.daemon" in learned.modules and "atles.pipeline.release" in learned.modules
    assert not {name for name in learned.modules if name.split(".")[0] in HEAVY}
    assert not {name for name in learned.modules if name.startswith("atles.ml")}


def test_nor_did_it_load_a_library_of_theirs(learned: Learned) -> None:
    mapped = {line.split()[-1] for line in learned.mapped.splitlines() if "/" in line}
    assert any("sqlite3" in path for path in mapped), "the list is of the right process"
    assert not {
        path
        for path in mapped
        if re.search(r"/(torch|numpy|tokenizers|safetensors|onnxruntime)[/.]|libtorch|libgomp|mkl", path)
    }


def test_it_is_light(learned: Learned) -> None:
    assert learned.resident_mb < 45, "MB resident, after its work; docs promise 40 when idle"


def test_the_layers_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    assert linter.exists(), "import-linter is part of the development extra: pip install 'atles[dev]'"
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_public_name_exists_and_costs_nothing_until_it_is_used() -> None:
    assert set(atles.__all__) == set(atles._HOME_OF) | {"__version__"}
    for name in atles.__all__:
        assert getattr(atles, name) is not None
    code = "import sys, atles; print(sorted(m for m in sys.modules if m.startswith('atles')))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['atles']"


@pytest.mark.parametrize("file", OURS, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_module_says_what_it_knows(file: Path) -> None:
    if file.read_text().strip():
        assert ast.get_docstring(ast.parse(file.read_text())), "it opens with a docstring"


def test_the_environment_is_read_in_three_places_only() -> None:
    """`config` reads settings, `layout` the home, and `programs` hands the environment on."""
    readers = {
        str(file.relative_to(PACKAGE)) for file in OURS if re.search(r"os\.environ|os\.getenv", file.read_text())
    }
    assert readers <= {"config.py", "layout.py", "programs.py"} | {name for name in readers if name.startswith("cli/")}
