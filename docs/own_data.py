"""`make own-data`: runs the commands of docs/own-data.md, and writes what came out into it.

Two data sets are made of public ones: a folder of 2,000 photographs of CIFAR-10, 40 % of which lie
in the folder of a wrong class; and vectors of text, the docstrings of six installed packages, 40 %
of which are said to be of a wrong package. What came out is kept in results/own-data.json, too.
"""

from __future__ import annotations

import argparse
import ast
import json
import platform
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

import dilute
from dilute.files import write_file
from dilute.study.pages import write_table

ROOT = Path(__file__).parent.parent
PAGE, RESULTS = ROOT / "docs" / "own-data.md", ROOT / "results" / "own-data.json"
PACKAGES = ("matplotlib", "numpy", "pandas", "scipy", "sklearn", "torch")
NUM_IMAGES, NUM_NEW, NUM_TEXTS, WRONG = 2000, 1000, 3000, 0.4
FOLDER, TEXT = "folder:my-images", "npz:texts.npz"


def wrong_labels(labels: np.ndarray, num_classes: int, seed: int) -> np.ndarray:
    """Return the labels, of which a share of 40 % is that of another class, all alike."""
    draw = np.random.default_rng(seed)
    is_wrong = draw.random(len(labels)) < WRONG
    return (labels + is_wrong * draw.integers(1, num_classes, len(labels))) % num_classes


def make_images(place: Path) -> None:
    """Write `my-images`, many of them in a wrong folder, and new ones without and with folders."""
    found = dilute.load("cifar10")
    assert found.test is not None
    rows = np.sort(np.random.default_rng(0).permutation(len(found.train))[:NUM_IMAGES])
    train, names = found.train.take(rows), found.train.class_names
    given = wrong_labels(train.labels, len(names), 1)
    for row, label in enumerate(given):
        write_image(place / "my-images" / names[label] / f"{row:04}.png", train.inputs[row])
    new = np.sort(np.random.default_rng(2).permutation(len(found.test))[:NUM_NEW])
    for row in new:
        image, label = found.test.inputs[row], found.test.labels[row]
        write_image(place / "new-images" / f"{row:04}.png", image)
        write_image(place / "right-images" / names[label] / f"{row:04}.png", image)


def write_image(path: Path, image: np.ndarray) -> None:
    """Write one image uint8 `[C, H, W]` as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.transpose(1, 2, 0)).save(path)


def docstrings(package: str) -> list[str]:
    """Return the docstrings of a package's functions and classes, without its own name."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    texts = set()
    for file in sorted(Path(spec.origin).parent.rglob("*.py")):
        if "tests" in file.parts:
            continue
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError, RecursionError):
            continue
        nodes = (ast.FunctionDef, ast.ClassDef)
        for node in ast.walk(tree):
            text = ast.get_docstring(node) if isinstance(node, nodes) else None
            if text and len(text) > 200:
                texts.add(text.replace(package, " "))
    return sorted(texts)


def make_texts(place: Path) -> None:
    """Write `texts.npz` with wrong labels, and `new-texts.npz` with right ones."""
    texts, labels = [], []
    draw = np.random.default_rng(0)
    each = (NUM_TEXTS + NUM_NEW) // len(PACKAGES)
    for number, package in enumerate(PACKAGES):
        found = docstrings(package)
        chosen = draw.permutation(len(found))[:each]
        texts += [found[k] for k in chosen]
        labels += [number] * len(chosen)
    order = draw.permutation(len(texts))
    words = TfidfVectorizer(min_df=3, sublinear_tf=True, stop_words="english")
    counts = words.fit_transform([texts[k] for k in order])
    vectors = TruncatedSVD(100, random_state=0).fit_transform(counts).astype(np.float32)
    truth, names = np.array(labels)[order], np.array(PACKAGES)
    cut = len(order) - NUM_NEW
    given = wrong_labels(truth[:cut], len(PACKAGES), 1)
    np.savez(place / "texts.npz", x=vectors[:cut], y=names[given])
    np.savez(place / "new-texts.npz", x=vectors[cut:], y=names[truth[cut:]])


STEPS: dict[str, list[list[str]]] = {
    "images": [
        ["estimate", FOLDER, "--out", "estimate"],
        ["fit", FOLDER, "--out", "model"],
        ["predict", "model", "folder:new-images", "--out", "predictions.csv"],
        ["predict", "model", "folder:right-images", "--out", "right.csv", "--clean"],
    ],
    "images-others": [
        [
            "fit",
            FOLDER,
            "--out",
            "plain",
            "--method",
            "cross_entropy",
            "--test",
            "folder:right-images",
        ],
        [
            "fit",
            FOLDER,
            "--out",
            "with-law",
            "--estimate",
            "estimate",
            "--test",
            "folder:right-images",
        ],
        [
            "fit",
            FOLDER,
            "--out",
            "cleaned",
            "--estimate",
            "estimate",
            "--cleaned",
            "--test",
            "folder:right-images",
        ],
    ],
    "texts": [
        ["estimate", TEXT, "--out", "text-estimate"],
        ["fit", TEXT, "--out", "text-model"],
        ["predict", "text-model", "npz:new-texts.npz", "--out", "text-predictions.csv", "--clean"],
    ],
    "texts-others": [
        [
            "fit",
            TEXT,
            "--out",
            "text-plain",
            "--method",
            "cross_entropy",
            "--test",
            "npz:new-texts.npz",
        ],
        [
            "fit",
            TEXT,
            "--out",
            "text-with-law",
            "--estimate",
            "text-estimate",
            "--test",
            "npz:new-texts.npz",
        ],
        [
            "fit",
            TEXT,
            "--out",
            "text-cleaned",
            "--estimate",
            "text-estimate",
            "--cleaned",
            "--test",
            "npz:new-texts.npz",
        ],
    ],
}


def run(place: Path) -> dict[str, list[dict[str, object]]]:
    """Run all commands in a folder, and return each with its output and seconds."""
    found: dict[str, list[dict[str, object]]] = {}
    for group, commands in STEPS.items():
        for words in commands:
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", "dilute", *words],
                cwd=place,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"dilute {' '.join(words)}: {done.stderr}")
            seconds = round(time.perf_counter() - started, 1)
            entry = {"command": words, "seconds": seconds, "output": done.stdout.rstrip()}
            found.setdefault(group, []).append(entry)
            print(f"{seconds} s: dilute {' '.join(words)}\n{done.stdout}", flush=True)
    return found


def shown(entries: list[dict[str, object]]) -> str:
    """Return commands with their times and outputs in Markdown."""
    parts = []
    for entry in entries:
        words = entry["command"]
        assert isinstance(words, list)
        lines = str(entry["output"]).splitlines()
        cut = [line if len(line) <= 96 else f"{line[:95]}…" for line in lines]
        parts.append("\n".join(["```", f"$ dilute {' '.join(words)}", *cut, "```"]))
        parts.append(f"{entry['seconds']} s.")
    return "\n\n".join(parts)


def main() -> None:
    """Make the data, run the commands, and write page and results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", type=Path, help="an empty folder to work in")
    place = parser.parse_args().place
    place.mkdir(parents=True, exist_ok=True)
    make_images(place)
    make_texts(place)
    found = run(place)
    machine = {"machine": platform.machine(), "python": platform.python_version()}
    write_file(RESULTS, (json.dumps({**machine, "runs": found}, indent=1) + "\n").encode())
    for group, entries in found.items():
        write_table(PAGE, group, shown(entries))


if __name__ == "__main__":
    main()
