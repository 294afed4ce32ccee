r"""
LaTeX as MathML, which browsers set without a script.

Only the commands that `_equations` and `explain` write are known: an unknown one is an error, so
that a new one cannot be missing on a page in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

MINUS = "\N{MINUS SIGN}"
THIN = '<mspace width="0.17em"/>'
SYMBOLS = {
    "delta": "<mi>δ</mi>", "eta": "<mi>η</mi>", "partial": "<mo>∂</mo>", "nabla": "<mo>∇</mo>",
    "sigma": "<mi>\N{GREEK SMALL LETTER SIGMA}</mi>", "sum": "<mo>∑</mo>",
    "Sigma": '<mi mathvariant="normal">Σ</mi>', "cdot": "<mo>·</mo>", "to": "<mo>→</mo>",
    "times": "<mo>\N{MULTIPLICATION SIGN}</mo>", "infty": "<mi>∞</mi>",
    "ln": f'{THIN}<mi mathvariant="normal">ln</mi>{THIN}', ",": THIN,
    ";": '<mspace width="0.28em"/>', "quad": '<mspace width="1em"/>',
    "qquad": '<mspace width="2em"/>',
}
TOKEN = re.compile(r"\\text\{((?:[^{}\\]|\\.|\{\})*)\}|\\([A-Za-z]+|[,;\\])|([0-9.]+)|(\S)")
ESCAPED = {"textbackslash": "\\", "textasciicircum": "^", "textasciitilde": "~",
           "textless": "<", "textgreater": ">"}


def mathml(latex: str) -> str:
    r"""
    Return an element `math`.

    Raises
    ------
    ValueError
        If a command is not known.

    Examples
    --------
    >>> mathml(r"\delta^L_j")
    '<math><msubsup><mi>δ</mi><mi>j</mi><mi>L</mi></msubsup></math>'
    """
    return f"<math>{_row(Tokens(latex), '')}</math>"


class Tokens:
    """The tokens of a formula, of which the next can be looked at."""

    def __init__(self, latex: str) -> None:
        self._found: Iterator[re.Match[str]] = TOKEN.finditer(latex)
        self.take()

    def take(self) -> tuple[str, str]:
        """Return kind and text of the next token, and go on; ("", "") is the end."""
        taken = getattr(self, "next", ("", ""))
        match = next(self._found, None)
        self.next = ("", "")
        if match is not None:
            text, command, number, sign = match.groups()
            self.next = (("text", text) if text is not None else
                         ("command", command) if command else
                         ("number", number) if number else ("sign", sign))
        return taken


def _row(tokens: Tokens, *ends: str) -> str:
    """Return everything up to a token that ends it, which is left."""
    parts = []
    while tokens.next[1] not in ends or tokens.next[0] == "text":
        parts.append(_scripts(tokens))
    return "".join(parts)


def _scripts(tokens: Tokens) -> str:
    """Return an atom with what stands above and below it."""
    base = _atom(tokens)
    scripts: dict[str, str] = {}
    primes = ""
    while tokens.next in (("sign", "^"), ("sign", "_"), ("sign", "'")):
        sign = tokens.take()[1]
        if sign == "'":
            primes += '<mo lspace="0" rspace="0">\N{PRIME}</mo>'
        else:
            scripts[sign] = _atom(tokens)
    above = scripts.get("^", "")
    if primes:  # as a superscript, it is tiny where no font has mathematics
        base = f"<mrow>{base}{primes}</mrow>"
    if base.startswith("<munder>"):
        return f"<munder>{base}{scripts['_']}</munder>"
    if above and "_" in scripts:
        return f"<msubsup>{base}{scripts['_']}{above}</msubsup>"
    if above:
        return f"<msup>{base}{above}</msup>"
    return f"<msub>{base}{scripts['_']}</msub>" if "_" in scripts else base


def _group(tokens: Tokens) -> str:
    tokens.take()
    inner = _row(tokens, "}", "")
    tokens.take()
    return f"<mrow>{inner}</mrow>"


def _atom(tokens: Tokens) -> str:
    if tokens.next == ("sign", "{"):
        return _group(tokens)
    kind, text = tokens.take()
    if kind == "number":
        return f"<mn>{text}</mn>"
    if kind == "text":
        return f"<mtext>{escape(_words(text))}</mtext>"
    if kind == "sign":
        return _sign(text)
    if text == "frac":
        return f"<mfrac>{_group(tokens)}{_group(tokens)}</mfrac>"
    if text == "underbrace":
        return f"<munder>{_group(tokens)}<mo>⏟</mo></munder>"
    if text in ("left", "right"):
        return f"<mo>{escape(tokens.take()[1])}</mo>"
    if text == "begin":
        return _matrix(tokens)
    if text in SYMBOLS:
        return SYMBOLS[text]
    raise ValueError(f"no MathML is known for \\{text}")


def _sign(text: str) -> str:
    if text.isalpha():
        return f"<mi>{text}</mi>"
    return f"<mo>{escape(MINUS if text == '-' else text)}</mo>"


def _matrix(tokens: Tokens) -> str:
    _group(tokens)
    rows = [""]
    while True:
        rows[-1] += f"<mtd>{_row(tokens, '&', chr(92), 'end', '')}</mtd>"
        end = tokens.take()[1]
        if end == "\\":
            rows.append("")
        elif end != "&":
            break
    _group(tokens)
    table = "".join(f"<mtr>{row}</mtr>" for row in rows)
    return f"<mrow><mo>(</mo><mtable>{table}</mtable><mo>)</mo></mrow>"


def _words(text: str) -> str:
    """Return the words of a text that `escaped` made safe."""
    return re.sub(r"\\([A-Za-z]+)\{\}|\\(.)",
                  lambda found: ESCAPED[found[1]] if found[1] else found[2], text)
