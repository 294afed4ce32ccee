"""Equations with their numbers, in the book's notation, written as text and as LaTeX."""

from __future__ import annotations

import abc
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

WIDTH = 88  # of a line of text; a sum that is wider goes on in the next
PER_LINE = 4  # terms of a sum, in LaTeX
RTOL = 1e-9  # terms that add up to something else are not shown as a sum
CORES = "the core's; the terms overflow, cancel, or meet a floor"

# A name as text and as LaTeX; @ stands for layer and neurons, @k and @j for those of each neuron.
NAMES = {
    "x": ("x@", "x@"), "y": ("y@", "y@"), "a": ("a@", "a@"), "w": ("w@", "w@"), "b": ("b@", "b@"),
    "z": ("z@", "z@"), "C": ("C@", "C@"), "eta": ("eta", r"\eta"),
    "input_scale": ("input_scale@", r"\text{input\_scale}@"),
    "delta": ("delta@", r"\delta@"), "sigma'": ("sigma'(z@)", r"\sigma'(z@)"),
    "dC/dz": ("dC/dz@", r"\frac{\partial C}{\partial z@}"),
    "dC/da": ("dC/da@", r"\frac{\partial C}{\partial a@}"),
    "dC/db": ("dC/db@", r"\frac{\partial C}{\partial b@}"),
    "dC/dw": ("dC/dw@", r"\frac{\partial C}{\partial w@}"),
    "da/dz": ("da@k/dz@j", r"\frac{\partial a@k}{\partial z@j}"),
}


class Symbol(NamedTuple):
    """
    A quantity of the book; `str` gives it as text.

    Attributes
    ----------
    name : str
        "z", "delta", "dC/dw", ...
    layer : int or None
        The book's: inputs are layer 1.
    neurons : tuple of int
        The book's, from 1: (j,), or (j, k) of a weight, or (k, j) of da_k/dz_j.
    """

    name: str
    layer: int | None = None
    neurons: tuple[int, ...] = ()

    def __str__(self) -> str:
        return TEXT.symbol(self)


class Term(NamedTuple):
    """
    A term of a sum.

    Attributes
    ----------
    factors : tuple of (Symbol, float)
    value : float
        Their product, with the sign; or a function of them, if `shown` is one.
    sign : int
        1, or -1 if the term is subtracted.
    shown : (str, str), or None
        What is written, as text and as LaTeX, if the term is not a product.
    """

    factors: tuple[tuple[Symbol, float], ...]
    value: float
    sign: int = 1
    shown: tuple[str, str] | None = None


@dataclass(frozen=True)
class Step:
    """
    One equation with its numbers: symbol = sum of terms = value.

    Attributes
    ----------
    equation : str
        Its label: "x" and "y" of what is given, "z", "(25)", "C", "BP1" or "(37)", "(29)", "BP2",
        "BP3", "BP4", "update".
    symbol : Symbol
        What is computed.
    terms : tuple of Term
        All of them, those too that text folds.
    value : float
        The core's.
    note : str
        Why the terms are not shown; empty if they add up to the value.
    """

    equation: str
    symbol: Symbol
    terms: tuple[Term, ...]
    value: float
    note: str = ""

    def __str__(self) -> str:
        return TEXT.step(self, len(self.terms))


@dataclass
class Section:
    """
    Equations of one kind, with what is said of them.

    In prose, backquotes are around code, and dollars around formulas, as text.
    """

    title: str
    formulas: tuple[str, str] | None = None  # as text and as LaTeX
    prose: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    # Matrices, and signs between them.
    products: list[tuple[tuple[str, str], list[NDArray[Any] | str]]] = field(default_factory=list)


def product(*factors: tuple[Symbol, Any], sign: int = 1) -> Term:
    """Return a term that is a product."""
    numbers = tuple((symbol, float(value)) for symbol, value in factors)
    return Term(numbers, sign * math.prod(value for _, value in numbers), sign)


def step(equation: str, symbol: Symbol, terms: Sequence[Term], value: Any) -> Step:
    """Return a step, with a note if the terms do not add up to the value."""
    value = float(value) + 0.0  # no -0
    values = [term.value for term in terms]
    size = sum(map(abs, values))
    right = not values or (math.isfinite(size) and abs(math.fsum(values) - value) <= RTOL * size)
    return Step(equation, symbol, tuple(terms), value, "" if right else CORES)


def folded(terms: Sequence[Term], most: int) -> tuple[list[Term], list[Term]]:
    """Return the terms that count, in their order, and those that are folded."""
    if len(terms) <= most:
        return list(terms), []
    # The last is the bias, where there is one: it is no term of the sum over k.
    kept = {len(terms) - 1} if len(terms[-1].factors) == 1 else set()
    for at in sorted(range(len(terms)), key=lambda at: -abs(terms[at].value)):
        if len(kept) == most or terms[at].value == 0:
            break
        kept.add(at)
    return ([term for at, term in enumerate(terms) if at in kept],
            [term for at, term in enumerate(terms) if at not in kept])


class Notation(abc.ABC):
    """How an equation is written."""

    which: int  # of the pairs above
    times: str
    arrow: str

    @abc.abstractmethod
    def number(self, value: float) -> str:
        """Return a number."""

    @abc.abstractmethod
    def place(self, layer: int | None, neurons: Sequence[int]) -> str:
        """Return layer and neurons, as superscript and subscript."""

    @abc.abstractmethod
    def others(self, terms: Sequence[Term]) -> str:
        """Return the sum of terms that are folded, and how many they are."""

    @abc.abstractmethod
    def plain(self, text: str) -> str:
        """Return words."""

    def symbol(self, symbol: Symbol) -> str:
        """Return the name of a quantity, with its place."""
        name = NAMES[symbol.name][self.which]
        if symbol.name == "da/dz":
            k, j = symbol.neurons
            return name.replace("@k", self.place(symbol.layer, (k,))).replace(
                "@j", self.place(symbol.layer, (j,)))
        return name.replace("@", self.place(symbol.layer, symbol.neurons))

    def term(self, term: Term) -> tuple[bool, str]:
        """Return whether the term is subtracted, and what then is written."""
        if term.shown is not None:
            return term.sign < 0, term.shown[self.which]
        first, *more = (value + 0.0 for _, value in term.factors)
        numbers = [self.number(abs(first)), *(
            f"({self.number(value)})" if value < 0 else self.number(value) for value in more)]
        return (term.sign < 0) != (first < 0), self.times.join(numbers)

    def sum(self, terms: Sequence[Term], most: int) -> list[str]:
        """Return the terms that count, each with its sign, and the sum of the others."""
        kept, others = folded(terms, most)
        pieces = [self.term(term) for term in kept]
        if others:
            total = math.fsum(term.value for term in others)
            pieces.append((total < 0, self.others(others)))
        written = [("- " if negative else "+ ") + piece for negative, piece in pieces]
        first = written[0]
        return [first[2:] if first[0] == "+" else f"-{first[2:]}", *written[1:]]

    def sides(self, step: Step, most: int) -> tuple[str, list[str], str]:
        """Return the left side, the terms, and the value of a step."""
        value = self.number(step.value)
        left = self.symbol(step.symbol)
        if step.note or not step.terms:
            return left, [], value + (self.plain(f"  ({step.note})") if step.note else "")
        pieces = self.sum(step.terms, most)
        return left, [] if pieces == [value] else pieces, value


class Text(Notation):
    """In a terminal."""

    which, times, arrow = 0, " * ", "->"

    def number(self, value: float) -> str:
        return f"{value + 0.0:.5g}"

    def place(self, layer: int | None, neurons: Sequence[int]) -> str:
        below = ("," if max(neurons, default=0) > 9 else "").join(map(str, neurons))
        return ("" if layer is None else f"^{layer}") + (f"_{below}" if below else "")

    def others(self, terms: Sequence[Term]) -> str:
        total = self.number(abs(math.fsum(term.value for term in terms)))
        return f"{total} [{len(terms):,} other{'s' * (len(terms) > 1)}]"

    def plain(self, text: str) -> str:
        return text

    def step(self, step: Step, most: int) -> str:
        """Return a step, on as many lines as it needs."""
        left, pieces, value = self.sides(step, most)
        sign = self.arrow if step.equation == "update" else "="
        if not pieces:
            return f"{left} {sign} {value}"
        lines = [f"{left} {sign} {pieces[0]}"]
        indent = " " * (len(left) + len(sign) + 2)
        for piece in [*pieces[1:], f"= {value}"]:
            if len(lines[-1]) + len(piece) < WIDTH:
                lines[-1] += f" {piece}"
            else:
                lines.append(indent + piece)
        return "\n".join(lines)

    def product(self, operands: Sequence[NDArray[Any] | str]) -> list[str]:
        """Return matrices side by side, or below each other if they are too wide."""
        rows: list[list[list[str]]] = [[]]
        for operand in operands:
            block = self.block(operand)
            if rows[-1] and sum(len(of[0]) + 1 for of in [*rows[-1], block]) > WIDTH:
                # A sign goes with what it is before.
                rows.append([rows[-1].pop()] if len(rows[-1][-1]) == 1 < len(block) else [])
            rows[-1].append(block)
        lines = []
        for row in rows:
            height = max(map(len, row))
            columns = []
            for block in row:
                above, empty = (height - len(block)) // 2, [" " * len(block[0])]
                columns.append(empty * above + block + empty * (height - above - len(block)))
            lines += [" ".join(line).rstrip() for line in zip(*columns, strict=True)]
        return lines

    def block(self, operand: NDArray[Any] | str) -> list[str]:
        """Return the lines of a matrix, all of one width."""
        if isinstance(operand, str):
            return [operand]
        cells = [[self.number(value) for value in row] for row in operand]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return ["[" + "  ".join(map(str.rjust, row, widths)) + "]" for row in cells]

    def section(self, section: Section, most: int) -> str:
        """Return a section."""
        lines = [section.title.replace("`", "")]
        if section.formulas is not None:
            lines.append(f"  {section.formulas[0]}")
        for paragraph in section.prose:
            lines += _wrapped(re.sub("[`$]", "", paragraph), WIDTH, "  ")
        for each in section.steps:
            lines += [f"    {line}" for line in self.step(each, most).splitlines()]
        for (formula, _), operands in section.products:
            lines += [f"  {formula}", *(f"    {line}" for line in self.product(operands))]
        return "\n".join(lines)


class Latex(Notation):
    """For MathJax and KaTeX."""

    which, times, arrow = 1, r" \cdot ", r"\to"

    def number(self, value: float) -> str:
        if not math.isfinite(value):
            return r"\text{nan}" if math.isnan(value) else r"-\infty"[value > 0:]
        mantissa, _, exponent = f"{value + 0.0:.5g}".partition("e")
        return mantissa + (rf" \times 10^{{{int(exponent)}}}" if exponent else "")

    def place(self, layer: int | None, neurons: Sequence[int]) -> str:
        below = ("," if max(neurons, default=0) > 9 else "").join(map(str, neurons))
        return ("" if layer is None else f"^{{{layer}}}") + (f"_{{{below}}}" if below else "")

    def others(self, terms: Sequence[Term]) -> str:
        total = self.number(abs(math.fsum(term.value for term in terms)))
        counted = f"{len(terms):,} other{'s' * (len(terms) > 1)}"
        return rf"\underbrace{{{total}}}_{{\text{{{counted}}}}}"

    def plain(self, text: str) -> str:
        return rf"\text{{{escaped(text)}}}"

    def step(self, step: Step, most: int) -> str:
        """Return the rows of a step, for an aligned environment."""
        left, pieces, value = self.sides(step, most)
        sign = self.arrow if step.equation == "update" else "="
        rows = [" ".join(pieces[at:at + PER_LINE]) for at in range(0, len(pieces), PER_LINE)]
        right = r" \\" + "\n" + r"&\quad "
        return f"{left} &{sign} " + (right.join(rows) + " = " if rows else "") + value

    def product(self, operands: Sequence[NDArray[Any] | str]) -> str:
        """Return matrices side by side."""
        return " ".join(
            operand if isinstance(operand, str) else
            r"\begin{pmatrix} " + r" \\ ".join(
                " & ".join(map(self.number, row)) for row in operand) + r" \end{pmatrix}"
            for operand in operands)

    def section(self, section: Section, most: int) -> str:
        """Return the equations of a section, as one aligned environment."""
        rows = [] if section.formulas is None else [f"&{section.formulas[1]}"]
        rows += [self.step(each, most) for each in section.steps]
        rows += [row for (_, formula), operands in section.products
                 for row in (f"&{formula}", f"&{self.product(operands)}")]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}" if rows else ""


TEXT, LATEX = Text(), Latex()


def markdown(sections: Sequence[Section], most: int) -> str:
    """Return sections as Markdown, with their equations between dollars."""
    parts = []
    for section in sections:
        equations = LATEX.section(section, most)
        parts += [f"**{section.title}**",
                  *(with_formulas(each, str) for each in section.prose)]
        parts += [f"$$\n{equations}\n$$"] if equations else []
    return "\n\n".join(parts)


def latex(sections: Sequence[Section], most: int) -> str:
    """Return the equations of sections with their titles, and without prose."""
    parts = []
    for section in sections:
        equations = LATEX.section(section, most)
        title = LATEX.plain(section.title.replace("`", ""))
        parts.append(f"$${title}$$" + (f"\n\n$$\n{equations}\n$$" if equations else ""))
    return "\n\n".join(parts)


def text(sections: Sequence[Section], most: int) -> str:
    """Return sections as text."""
    return "\n\n".join(TEXT.section(section, most) for section in sections)


def with_formulas(prose: str, notation: Callable[[str], str]) -> str:
    r"""
    Return prose whose formulas, between dollars, are what `notation` makes of their LaTeX.

    Examples
    --------
    >>> print(with_formulas("The bracket is $dC/da^l_j$.", str))
    The bracket is $\frac{\partial C}{\partial a^l_j}$.
    >>> print(with_formulas("$delta^l = Sigma'(z^l) (w^(l+1))^T delta^(l+1)$, $w^l_jk$", str))
    $\delta^l = \Sigma'(z^l) (w^{l+1})^T \delta^{l+1}$, $w^l_{jk}$
    """
    def written(found: re.Match[str]) -> str:
        latex = found[1]
        for text, command in _INLINE:
            latex = re.sub(text, command, latex)
        return f"${notation(latex)}$"

    return re.sub(r"\$(.*?)\$", written, prose)


_INLINE = (
    (r"d(C|a[^ /]*)/d([awz][^ )]*)", r"\\frac{\\partial \1}{\\partial \2}"),
    (r"\^\((.*?)\)", r"^{\1}"), (r"_(\w\w+)", r"_{\1}"), (r"abs\((.*)\)", r"|\1|"),
    (r"\b(delta|[sS]igma)\b", r"\\\1"), ("grad_a", r"\\nabla_a"),
)


def escaped(words: str) -> str:
    r"""
    Return words for \text.

    Examples
    --------
    >>> print(escaped("leaky_relu, 50 %"))
    leaky\_relu, 50 \%
    """
    return re.sub(r"[\\{}_^#$%&~<>]", lambda found: _ESCAPES.get(found[0], "\\" + found[0]), words)


_ESCAPES = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
            "<": r"\textless{}", ">": r"\textgreater{}"}


def _wrapped(paragraph: str, width: int, indent: str) -> list[str]:
    lines = [indent[:-1]]
    for word in paragraph.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append(indent[:-1])
        lines[-1] += f" {word}"
    return lines


def column(values: Any) -> NDArray[Any]:
    """Return a vector as a column."""
    return np.reshape(np.asarray(values), (-1, 1))
