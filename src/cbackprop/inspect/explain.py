"""One example through a network and back: every equation of chapter 2 with its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check, layers
from cbackprop.inspect import _arguments, _equations
from cbackprop.inspect._equations import LATEX, TEXT, Section, Step, Symbol, Term, column, product
from cbackprop.inspect._equations import step as stepped
from cbackprop.inspect.trace import Trace, trace
from cbackprop.network import Network

H = 1e-4  # of the differences that measure (29)


@dataclass(frozen=True, repr=False)
class Explanation:
    """
    The result of `explain`: text when printed, formulas in a notebook.

    Layers and neurons have the book's numbers, from 1; inputs are layer 1.

    Attributes
    ----------
    sections : list of Section
        In the book's order: a title, formulas, prose, steps, and products of matrices.
    trace : Trace
        The float64 arrays that the numbers are from: of wide layers too, which the steps are not.
    most : int
    """

    sections: list[Section]
    trace: Trace
    most: int

    @property
    def steps(self) -> list[Step]:
        """Every equation that is written, in order: label, symbol, terms and value."""
        return [each for section in self.sections for each in section.steps]

    def __getitem__(self, symbol: str) -> Step:
        """
        Return the step that computes a quantity, by its name in the text, such as "delta^3_1".

        Raises
        ------
        KeyError
            If no step does.
        """
        for each in self.steps:
            if str(each.symbol) == symbol:
                return each
        symbols = [str(each.symbol) for each in self.steps]
        raise KeyError(f"no equation for {_check.shown(symbol)} is written; there are those for "
                       f"{', '.join(symbols[:8])}, ..., {symbols[-1]}")

    def __repr__(self) -> str:
        return f"<Explanation of {len(self.steps)} equations; print it>"

    def __str__(self) -> str:
        return _equations.text(self.sections, self.most)

    def markdown(self) -> str:
        """Return titles and prose as Markdown, and equations as LaTeX between dollars."""
        return _equations.markdown(self.sections, self.most)

    def latex(self) -> str:
        """Return titles and equations as LaTeX, for MathJax or KaTeX."""
        return _equations.latex(self.sections, self.most)

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _repr_latex_(self) -> str:
        return self.latex()


def explain(
    net: Any, x: ArrayLike, y: ArrayLike, *, eta: float = 1.0, most: int = 6
) -> Explanation:
    """
    Write down one example's pass, forwards and back, with the numbers in the book's equations.

    z as a sum, (25), the cost, BP1 with both factors (of softmax, the sum (37)), BP2 neuron by
    neuron, BP3, BP4, the update, and the matrix forms.

    Parameters
    ----------
    net : Network or estimator
        A float64 copy is used. Dropout is not applied.
    x : array of shape (in,), (1, in), or a column (in, 1)
        One example.
    y : array of shape (out,), (1, out), (out, 1), or a label
    eta : float
        The learning rate of the update, which is plain gradient descent on this example alone.
    most : int
        At least 2. Of a longer sum, the largest terms are written, and the others as one number. Of
        a wider layer, the neurons with the largest abs(delta) are written.

    Returns
    -------
    Explanation

    Raises
    ------
    TypeError, ValueError
        If x and y do not fit the network, are not finite or are several examples, or if `eta` or
        `most` is not such a number.

    Notes
    -----
    Layers and neurons are numbered from 1, as in the book: w^l_jk is
    ``net.weights[l - 2][j - 1, k - 1]``. Every value is the core's. Terms are written only if they
    add up to it.

    Examples
    --------
    >>> net = cbackprop.Network([2, 3, 1], seed=0)
    >>> explained = explain(net, [0.0, 1.0], [1.0], eta=3.0)
    >>> print(explained["delta^2_3"])
    delta^2_3 = 0.19886 * 0.246 = 0.048919
    >>> explained["delta^2_3"].value == float(explained.trace.delta[0][0, 2])
    True
    """
    copy, rows, targets = _arguments.one_example(net, x, y)
    eta = _check.number("eta", eta, 0)
    most = _check.integer("most", most, 2)
    traced = trace(copy, rows, targets)
    writer = _Writer(copy, traced, most)
    last = len(copy.sizes)
    bp1 = writer.bp1()
    sections = [writer.inputs(), *map(writer.forward, range(2, last + 1)), writer.cost(),
                bp1, writer.definition(rows, targets, bp1),
                *map(writer.bp2, range(last - 1, 1, -1)),
                *map(writer.bp3, range(last, 1, -1)), *map(writer.bp4, range(last, 1, -1)),
                *(writer.update(layer, eta) for layer in range(last, 1, -1))]
    return Explanation(sections, traced, most)


class _Writer:
    """Sections about one example. Layers are the book's; neurons are from 0, until a symbol."""

    def __init__(self, net: Network, traced: Trace, most: int) -> None:
        self.net, self.trace, self.most = net, traced, most
        self.last = len(net.sizes)
        self.a = [(traced.x * net.input_scale)[0], *(a[0] for a in traced.a)]
        # Which neurons of each layer are written.
        self.shown = [_largest(self.a[0], most),
                      *(_largest(delta[0], most) for delta in traced.delta)]

    def whole(self, *layers: int) -> bool:
        """Whether all of these layers are written with all their neurons."""
        return all(self.net.sizes[layer - 1] <= self.most for layer in layers)

    def softmax(self, layer: int) -> bool:
        return bool(self.net.engine.activations[layer - 2] == "softmax")

    def jacobian(self, layer: int) -> NDArray[Any]:
        """Return da_k/dz_j as row k and column j."""
        if self.softmax(layer):
            a = self.a[layer - 1]
            return np.diag(a) - np.outer(a, a)
        return np.diag(self.trace.sigma_prime[layer - 2][0])

    def some(self, layer: int, by: str = "delta") -> list[str]:
        """Say which neurons of a wide layer are written."""
        size = self.net.sizes[layer - 1]
        return [] if size <= self.most else [
            f"Of {size:,} neurons, the {self.most} with the largest $abs({by})$ are written."]

    def name(self, layer: int) -> str:
        return f"{layer} = L" if layer == self.last else str(layer)

    # ---- forwards ----

    def inputs(self) -> Section:
        sizes = "-".join(map(str, self.net.sizes))
        section = Section(
            f"A network {sizes}: layers 1 to L = {self.last}, neurons from 1",
            ("a^1 = x", "a^1 = x"),
            ["$w^l_jk$ leads from neuron k of layer l - 1 to neuron j of layer l: it is "
             "`weights[l-2][j-1,k-1]`.", *self.some(1, "a")])
        x, scale = self.trace.x[0], np.asarray(self.net.input_scale, dtype=float)
        scaled = not (scale == 1).all()
        if scaled:
            section.formulas = ("a^1 = input_scale x", r"a^1 = \text{input\_scale} \; x")
        for k in self.shown[0]:
            factors = [(_at("x", None, k), x[k])]
            if scaled:
                factors.insert(0, (_at("input_scale", None, *([k] * scale.ndim)),
                                   scale[k] if scale.ndim else scale))
            section.steps.append(stepped("x", _at("a", 1, k), [product(*factors)], self.a[0][k]))
        return section

    def forward(self, layer: int) -> Section:
        at = layer - 2
        neurons = self.net.sizes[layer - 1]
        section = Section(
            f"Layer {self.name(layer)}: {neurons} neuron{'s' * (neurons > 1)}, "
            f"`{self.trace.activations[at]}`",
            ("z^l_j = sum_k w^l_jk a^(l-1)_k + b^l_j,  (25) a^l = sigma(z^l)",
             r"z^l_j = \sum_k w^l_{jk} a^{l-1}_k + b^l_j, \qquad a^l = \sigma(z^l) \quad (25)"),
            self.some(layer))
        for j in self.shown[layer - 1]:
            z, b = self.trace.z[at][0, j], self.trace.b[at][j, 0]
            terms = [product((_at("w", layer, j, k), w), (_at("a", layer - 1, k), a))
                     for k, (w, a) in enumerate(zip(self.trace.w[at][j], self.a[at], strict=True))]
            terms.append(product((_at("b", layer, j), b)))
            a, place = self.a[layer - 1][j], _at("z", layer, j)
            shown = (f"sigma({TEXT.number(z)})", rf"\sigma({LATEX.number(z)})")
            if self.softmax(layer):
                name, e = Symbol("z", layer), LATEX.symbol(place)
                shown = (f"e^({place}) / sum_k e^({name}_k)",
                         rf"e^{{{e}}} / \sum_k e^{{{LATEX.symbol(name)}_k}}")
            section.steps += [
                stepped("z", place, terms, z),
                stepped("(25)", _at("a", layer, j),
                        [Term(((place, float(z)),), float(a), shown=shown)], a)]
        return section

    def cost(self) -> Section:
        described = layers.described(self.net.cost)
        section = Section(f"The cost, `{described}`")
        name = self.known_cost()
        if name is not None:
            section.formulas = _COSTS[name]
        else:
            section.prose.append("C and dC/da are the core's.")
            section.steps += [stepped("y", _at("y", None, j), [], self.trace.y[0, j])
                              for j in self.shown[-1]]
        terms = [] if name is None else [
            _cost_term(name, j, a, y)
            for j, (a, y) in enumerate(zip(self.a[-1], self.trace.y[0], strict=True))]
        section.steps.append(stepped("C", Symbol("C"), terms, self.trace.cost))
        return section

    def known_cost(self) -> str | None:
        """Return the name of a cost whose formula is written: targets must not be smoothed."""
        cost = self.net.cost
        name = cost[0] if isinstance(cost, tuple) else cost
        known = isinstance(name, str) and name in _COSTS and not any(layers.parameters(cost)[1:])
        return name if known else None

    # ---- backwards ----

    def bp1(self) -> Section:
        layer = self.last
        softmax = self.softmax(layer)
        section = Section(f"BP1: the error of layer {self.name(layer)}", (
            "delta^L_j = sum_k dC/da^L_k da^L_k/dz^L_j  (37)" if softmax else
            "delta^L_j = dC/da^L_j sigma'(z^L_j)",
            r"\delta^L_j = \sum_k \frac{\partial C}{\partial a^L_k} "
            r"\frac{\partial a^L_k}{\partial z^L_j} \quad (37)" if softmax else
            r"\delta^L_j = \frac{\partial C}{\partial a^L_j} \sigma'(z^L_j)"), self.some(layer))
        self.errors(section, layer, "(37)" if softmax else "BP1", self.rate)
        if not self.whole(layer):
            section.prose.append(f"(33), $delta^L = Sigma'(z^L) grad_a C$, has a matrix of "
                                 f"{self.net.sizes[-1]:,} rows: too many to be written.")
        elif not any(each.note for each in section.steps):
            section.products.append((
                ("(33)  delta^L = Sigma'(z^L) grad_a C, as a matrix times a vector",
                 r"\delta^L = \Sigma'(z^L) \, \nabla_a C \quad (33)"),
                [self.jacobian(layer).T, column(self.trace.nabla_a[-1]), "=",
                 column(self.trace.delta[-1])]))
        return section

    def rate(self, j: int) -> Step:
        """Return dC/da of an output."""
        a, y = float(self.a[-1][j]), float(self.trace.y[0, j])
        name = self.known_cost()
        terms = [] if name is None else _rate_terms(name, self.last, j, a, y)
        return stepped("BP1", _at("dC/da", self.last, j), terms, self.trace.nabla_a[-1][0, j])

    def errors(
        self, section: Section, layer: int, equation: str, rate: Callable[[int], Step]
    ) -> None:
        """Add dC/da, which `rate` gives, sigma' and delta of the neurons that are written."""
        at, neurons = layer - 2, self.shown[layer - 1]
        nabla_a, slope, delta = (
            values[at][0] for values in (self.trace.nabla_a, self.trace.sigma_prime,
                                         self.trace.delta))
        if not self.softmax(layer):
            for j in neurons:
                sigma_prime = (_at("sigma'", layer, j), slope[j])
                section.steps += [
                    rate(j), stepped(equation, sigma_prime[0], [], slope[j]),
                    stepped(equation, _at("delta", layer, j), [
                        product((_at("dC/da", layer, j), nabla_a[j]), sigma_prime)], delta[j])]
            return
        jacobian = self.jacobian(layer)
        section.steps += map(rate, neurons)
        for j in neurons:
            rates = [(Symbol("da/dz", layer, (k + 1, j + 1)), jacobian[k, j])
                     for k in range(len(delta))]
            if self.whole(layer):
                section.steps += [
                    stepped(equation, symbol, _softmax_terms(layer, k, j, self.a[layer - 1]), rate)
                    for k, (symbol, rate) in enumerate(rates)]
            section.steps += [
                stepped(equation, _at("delta", layer, j), [
                    product((_at("dC/da", layer, k), nabla_a[k]), da_dz)
                    for k, da_dz in enumerate(rates)], delta[j])]

    def definition(
        self, rows: NDArray[Any], targets: NDArray[Any], bp1: Section
    ) -> Section:
        """Set (29), measured, beside BP1, and say what becomes of the sum in (37)."""
        section = Section("(29) and BP1", (
            "delta^L_j = dC/dz^L_j  (29)",
            r"\delta^L_j = \frac{\partial C}{\partial z^L_j} \quad (29)"), [
            "(29) says what $delta$ is: the rate at which C changes with z. It is measured here: "
            f"C for z + h and z - h, with h = {H:g}, and their difference over 2 h. BP1 says how "
            "to compute it."])
        if self.softmax(self.last):
            section.prose.append(
                "$z^L_j$ reaches C through every output, since the outputs of softmax share one "
                "sum. By the chain rule, each output k adds $dC/da^L_k da^L_k/dz^L_j$: this is "
                "(37). The term k = j alone, $dC/da^L_j sigma'(z^L_j)$, would leave out the "
                "other outputs, which fall when $a^L_j$ grows. $Sigma'(z^L)$ has all the rates, "
                "$a_j (1 - a_j)$ on the diagonal and $-a_j a_k$ beside it.")
        else:
            section.prose.append(
                "They say the same. By the chain rule, $dC/dz^L_j$ is the sum (37) over all "
                "outputs k of $dC/da^L_k da^L_k/dz^L_j$. But $z^L_j$ changes only its own output: "
                "for k other than j, $da^L_k/dz^L_j$ is 0, and for k = j it is $sigma'(z^L_j)$. "
                "One term is left, and this is BP1.")
        errors = {each.symbol: each for each in bp1.steps}
        for j in self.shown[-1]:
            section.steps += [self.measured(rows, targets, j), errors[_at("delta", self.last, j)]]
        return section

    def measured(self, rows: NDArray[Any], targets: NDArray[Any], j: int) -> Step:
        """Return the difference quotient of the cost by z_j of the last layer, as in (46)."""
        b, costs = float(self.trace.b[-1][j, 0]), []
        core = self.net.engine.core
        biases = core.views(core.parameters)[1][-1]  # though the layer may have none
        for h in (H, -H):
            biases[j, 0] = b + h
            costs.append(self.net.engine.mean_cost(self.net.engine.examples((rows, targets), "")))
        biases[j, 0] = b
        value = (costs[0] - costs[1]) / (2 * H)
        quotient = f"({costs[0]:.12g} - {costs[1]:.12g}) / {2 * H:g}"
        return stepped("(29)", _at("dC/dz", self.last, j), [
            Term(((Symbol("C"), costs[0]), (Symbol("C"), costs[1])), value,
                 shown=(quotient, quotient))], value)

    def bp2(self, layer: int) -> Section:
        at = layer - 2
        softmax = self.softmax(layer)
        section = Section(f"BP2: the error of layer {self.name(layer)}", (
            "delta^l_j = (sum_k w^(l+1)_kj delta^(l+1)_k) sigma'(z^l_j)",
            r"\delta^l_j = \left( \sum_k w^{l+1}_{kj} \delta^{l+1}_k \right) \sigma'(z^l_j)"),
            ["The bracket is $dC/da^l_j$.", *self.some(layer)])
        if softmax:
            section.prose.insert(0, "Of softmax, the whole sum over k of $dC/da^l_k da^l_k/dz^l_j$ "
                                    "takes the place of the last product, as in (37).")

        def rate(j: int) -> Step:
            terms = [product((_at("w", layer + 1, k, j), w), (_at("delta", layer + 1, k), delta))
                     for k, (w, delta) in enumerate(zip(
                         self.trace.w[at + 1][:, j], self.trace.delta[at + 1][0], strict=True))]
            return stepped("BP2", _at("dC/da", layer, j), terms, self.trace.nabla_a[at][0, j])

        self.errors(section, layer, "BP2", rate)
        if not self.whole(layer, layer + 1):
            section.prose.append(
                f"(34), $delta^l = Sigma'(z^l) (w^(l+1))^T delta^(l+1)$, has matrices "
                f"of {self.net.sizes[layer - 1]:,} rows, and of {self.net.sizes[layer]:,} columns: "
                f"too many to be written.")
        elif not any(each.note for each in section.steps):
            section.products.append((
                ("(34)  delta^l = Sigma'(z^l) (w^(l+1))^T delta^(l+1), as matrices times a vector",
                 r"\delta^l = \Sigma'(z^l) \, (w^{l+1})^T \, \delta^{l+1} \quad (34)"),
                [self.jacobian(layer).T, self.trace.w[at + 1].T, column(self.trace.delta[at + 1]),
                 "=", column(self.trace.delta[at])]))
        return section

    def bp3(self, layer: int) -> Section:
        section = Section(f"BP3: the biases of layer {self.name(layer)}", (
            "dC/db^l_j = delta^l_j; as vectors, dC/db^l = delta^l",
            r"\frac{\partial C}{\partial b^l_j} = \delta^l_j, \qquad "
            r"\frac{\partial C}{\partial b^l} = \delta^l"), self.some(layer))
        for j in self.shown[layer - 1]:
            delta = _at("delta", layer, j)
            value = float(self.trace.delta[layer - 2][0, j])
            section.steps.append(stepped("BP3", _at("dC/db", layer, j), [
                Term(((delta, value),), value, shown=(str(delta), LATEX.symbol(delta)))],
                self.trace.nabla_b[layer - 2][j, 0]))
        return section

    def bp4(self, layer: int) -> Section:
        at = layer - 2
        section = Section(f"BP4: the weights of layer {self.name(layer)}", (
            "dC/dw^l_jk = a^(l-1)_k delta^l_j",
            r"\frac{\partial C}{\partial w^l_{jk}} = a^{l-1}_k \delta^l_j"),
            [*self.some(layer), *self.some_weights(layer)])
        for j, k in self.weights(layer):
            section.steps.append(stepped("BP4", _at("dC/dw", layer, j, k), [
                product((_at("a", layer - 1, k), self.a[at][k]),
                        (_at("delta", layer, j), self.trace.delta[at][0, j]))],
                self.trace.nabla_w[at][j, k]))
        formula = "dC/dw^l = delta^l (a^(l-1))^T"
        if self.whole(layer - 1, layer):
            section.products.append((
                (f"{formula}, as a column times a row",
                 r"\frac{\partial C}{\partial w^l} = \delta^l \, (a^{l-1})^T"),
                [column(self.trace.delta[at]), self.a[at][None], "=", self.trace.nabla_w[at]]))
        else:
            section.prose.append(f"As a column times a row: ${formula}$.")
        return section

    def update(self, layer: int, eta: float) -> Section:
        section = Section(f"The update of layer {self.name(layer)}, eta = {eta:g}", (
            "w -> w - eta dC/dw,  b -> b - eta dC/db",
            r"w \to w - \eta \frac{\partial C}{\partial w}, \qquad "
            r"b \to b - \eta \frac{\partial C}{\partial b}"),
            [*self.some(layer), *self.some_weights(layer)])
        section.steps += [
            *(self.step_down("w", layer, place, eta) for place in self.weights(layer)),
            *(self.step_down("b", layer, (j,), eta) for j in self.shown[layer - 1])]
        return section

    def step_down(self, name: str, layer: int, neurons: tuple[int, ...], eta: float) -> Step:
        """Return the update of a weight or a bias."""
        values, nabla = ((self.trace.w, self.trace.nabla_w) if name == "w" else
                         (self.trace.b, self.trace.nabla_b))
        place = neurons if name == "w" else (neurons[0], 0)
        before, rate = float(values[layer - 2][place]), float(nabla[layer - 2][place])
        symbol = _at(name, layer, *neurons)
        return stepped("update", symbol, [
            product((symbol, before)),
            product((Symbol("eta"), eta), (_at(f"dC/d{name}", layer, *neurons), rate), sign=-1)],
            before - eta * rate)

    def weights(self, layer: int) -> Iterable[tuple[int, int]]:
        """Return the weights that are written, (j, k)."""
        before = _largest(self.a[layer - 2], self.most)
        return [(j, k) for j in self.shown[layer - 1] for k in before]

    def some_weights(self, layer: int) -> list[str]:
        inputs = self.net.sizes[layer - 2]
        return [] if inputs <= self.most else [
            f"Of the {inputs:,} weights of a neuron, the {self.most} with the largest $abs(dC/dw)$ "
            f"are written."]


# The book's costs: their formulas, and what is written of one output.
_COSTS = {
    "quadratic": ("C = sum_j (a_j - y_j)^2 / 2", r"C = \sum_j (a_j - y_j)^2 / 2"),
    "cross_entropy": ("C = -sum_j (y_j ln a_j + (1 - y_j) ln(1 - a_j))",
                      r"C = -\sum_j \left( y_j \ln a_j + (1 - y_j) \ln(1 - a_j) \right)"),
    "log_likelihood": ("C = -sum_j y_j ln a_j", r"C = -\sum_j y_j \ln a_j"),
}


def _cost_term(name: str, j: int, a: float, y: float) -> Term:
    """Return what one output costs."""
    a, y = float(a), float(y)
    factors = ((Symbol("a", None, (j + 1,)), a), (Symbol("y", None, (j + 1,)), y))
    (a_text, y_text), (a_latex, y_latex) = (_numbers(notation, a, y) for notation in (TEXT, LATEX))
    if name == "quadratic":
        return Term(factors, (a - y)**2 / 2, shown=(
            f"({a_text} - {y_text})^2 / 2", f"({a_latex} - {y_latex})^2 / 2"))
    if name == "log_likelihood":
        return Term(factors, -_times_log(y, a), -1, (
            f"{y_text} ln {a_text}", rf"{y_latex} \ln {a_latex}"))
    return Term(factors, -_times_log(y, a) - _times_log(1 - y, 1 - a), -1, (
        f"({y_text} ln {a_text} + (1 - {y_text}) ln(1 - {a_text}))",
        rf"({y_latex} \ln {a_latex} + (1 - {y_latex}) \ln(1 - {a_latex}))"))


def _rate_terms(name: str, layer: int, j: int, a: float, y: float) -> list[Term]:
    """Return dC/da of one output."""
    of_a, of_y = (_at("a", layer, j), a), (_at("y", None, j), y)
    if name == "quadratic":
        return [product(of_a), product(of_y, sign=-1)]
    (a_text, y_text), (a_latex, y_latex) = (_numbers(notation, a, y) for notation in (TEXT, LATEX))
    if name == "log_likelihood":
        value = y / a if a else math.nan
        return [Term((of_a, of_y), -value, -1, (f"{y_text} / {a_text}", f"{y_latex} / {a_latex}"))]
    value = (a - y) / (a * (1 - a)) if a * (1 - a) else math.nan
    return [Term((of_a, of_y), value, shown=(
        f"({a_text} - {y_text}) / ({a_text} * (1 - {a_text}))",
        rf"\frac{{{a_latex} - {y_latex}}}{{{a_latex} \cdot (1 - {a_latex})}}"))]


def _softmax_terms(layer: int, k: int, j: int, a: NDArray[Any]) -> list[Term]:
    """Return da_k/dz_j, a_j (1 - a_j) or -a_k a_j."""
    of_k, of_j = (_at("a", layer, k), a[k]), (_at("a", layer, j), a[j])
    if k != j:
        return [product(of_k, of_j, sign=-1)]
    shown = tuple(f"{number}{times}(1 - {number})" for number, times in (
        (TEXT.number(a[j]), TEXT.times), (LATEX.number(a[j]), LATEX.times)))
    return [Term((of_j,), float(a[j] * (1 - a[j])), shown=(shown[0], shown[1]))]


def _numbers(notation: _equations.Notation, a: float, y: float) -> tuple[str, str]:
    """Return an output and its target; the latter comes after a minus."""
    written = notation.number(y)
    return notation.number(a), f"({written})" if y < 0 else written


def _times_log(y: float, a: float) -> float:
    if y == 0:
        return 0.0
    return y * math.log(a) if a > 0 else -math.inf


def _at(name: str, layer: int | None, *neurons: int) -> Symbol:
    """Return a symbol of neurons that are counted from 0."""
    return Symbol(name, layer, tuple(int(neuron) + 1 for neuron in neurons))


def _largest(values: NDArray[Any], most: int) -> list[int]:
    """Return where the largest of a vector are, in order."""
    found = np.argsort(-np.abs(values), kind="stable")[:most]
    return sorted(map(int, found))
