"""
One HTML document with everything in it: styles, script, and what the page is told at its start.

A Content-Security-Policy allows these very styles and this very script, by their hashes, and
nothing from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

ASSETS = Path(__file__).with_name("assets")
# In the order of their imports: they become one script, since a file on a disk cannot import.
SCRIPTS = ("dom", "core", "drawing", "equations", "plots", "details", "inputs", "epochs",
           "training", "main")
NONE, SELF = "'none'", "'self'"
IMPORT = re.compile(r"^import .*?;\n", re.MULTILINE | re.DOTALL)


def document(told: dict[str, Any], *, connects: bool) -> tuple[str, str]:
    """
    Return the document and its Content-Security-Policy.

    Parameters
    ----------
    told : dict
        Values for JSON.
    connects : bool
        Whether the page may speak with the server that it comes from.
    """
    style, script = _asset("page.css"), "".join(
        re.sub(r"^export ", "", IMPORT.sub("", _asset(f"{name}.js")), flags=re.MULTILINE)
        for name in SCRIPTS)
    policy = "; ".join((
        f"default-src {NONE}", f"style-src {_hash(style)}", f"script-src {_hash(script)}",
        f"connect-src {SELF if connects else NONE}", "img-src data:",
        f"base-uri {NONE}", f"form-action {NONE}"))
    # "</script>" in a name of a class would end the element.
    data = json.dumps(told, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = {"style": style, "script": script, "policy": policy, "told": data}
    html = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _asset("page.html"))
    return html, policy


def _asset(name: str) -> str:
    return (ASSETS / name).read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
