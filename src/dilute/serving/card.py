"""The card of a model: what a reader of its folder should know."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dilute.serving.trained_model import TrainedModel

_SHOWN = 20


def card(model: TrainedModel) -> str:
    """Return the card in Markdown."""
    about = model.about
    names = ", ".join(model.class_names[:_SHOWN])
    if len(model.class_names) > _SHOWN:
        names += f", … ({len(model.class_names)} in all)"
    lines = [
        "# A classifier trained by dilute",
        "",
        f"Takes {model.expected.kind}, and gives one of {len(model.class_names)} classes: {names}.",
    ]
    if model.resize is not None:
        lines.append(f"Images are brought to {model.resize} pixels as in training.")
    lines += ["", "## What it was trained on", ""]
    rows = [(name.replace("_", " "), value) for name, value in about.items() if value is not None]
    lines += [f"- {name}: {_words(value)}" for name, value in rows]
    lines += [
        "",
        "## Use",
        "",
        "```",
        "dilute predict THIS_FOLDER folder:new-images --out predictions.csv",
        "```",
        "",
        "```python",
        "import dilute",
        "",
        'model = dilute.load_model("THIS_FOLDER")',
        "model.predict(images)",
        "```",
    ]
    if ":" in model.architecture:
        lines += ["", f"Loading it needs the code of its network, `{model.architecture}`."]
    return "\n".join(lines) + "\n"


def _words(value: object) -> str:
    """Return a value of `about` in words."""
    if isinstance(value, dict):
        return "".join(f"\n  - {name}: {inner}" for name, inner in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
