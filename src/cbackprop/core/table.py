"""
The table of activations, costs and optimizers, with one row for each.

setup.py renders the core's choices by kind (`*.pxi.tp`) from these rows. Python takes names,
parameters and defaults from them, the documentation its tables, and the converters the names of
other libraries. The module imports nothing from this package, so that setup.py can read it before
the build.

Rows have no default values: each states explicitly which properties the function lacks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

INFINITY = float("inf")
PARAMETER = object()  # marks the place of a function's parameter in another library


class Parameter(NamedTuple):
    """A number that a function takes."""

    name: str
    default: float
    rule: str  # one of RULES


RULES: dict[str, Any] = {  # of finite numbers
    "positive": lambda number: number > 0,
    "not negative": lambda number: number >= 0,
    "between 0 and 1": lambda number: 0 < number < 1,
    "from 0 to below 1": lambda number: 0 <= number < 1,
}


# ---- activations ----

Ends = Callable[..., tuple[float, float]]  # of the function's parameter, if it has one


def between(low: float, high: float) -> Ends:
    """Return ends that depend on no parameter."""
    return lambda *_: (low, high)


class Activation(NamedTuple):
    """An activation: its block is in functions/activations.pxi, softmax's in softmax.pxi."""

    name: str
    parameters: tuple[Parameter, ...]  # at most one
    formula: str  # for the documentation
    ends: Ends  # what outputs lie between, or come as near to as one likes
    prime_from: str  # the argument of sigma': "a" or "z"; "1" if sigma' is 1 everywhere
    kinks: bool  # whether sigma' jumps anywhere
    curved: bool  # whether sigma'' is not 0 everywhere, so that it has a formula
    whole_layer: bool  # whether an output depends on every z of its layer
    from_z: tuple[str, ...] | None  # further forms for outputs; None if a is enough
    default_cost: str  # the cost for this output if a network has none
    initializer: str  # the one that suits it in hidden layers
    torch: tuple[Torch, ...]  # all are read, the first is written
    keras: tuple[Keras, ...]
    onnx: Onnx | None  # None if there is no operator, only a formula in convert/onnx.py
    sklearn: tuple[str | None, str | None]  # its names for hidden layers and for outputs
    aliases: tuple[str, ...]  # other names of it; how a name is spelt does not count


# In `attributes`, PARAMETER marks the function's parameter. A tuple lists the values for which the
# other library's class is the same function; the first is written.


class Torch(NamedTuple):
    """A class of torch.nn, and the equivalent function."""

    kind: str | None
    attributes: dict[str, Any]
    function: str | None  # in torch or torch.nn.functional, or a method
    arguments: tuple[str, ...]  # the function's arguments after the first


class Keras(NamedTuple):
    """A function of keras.activations, and a class of keras.layers."""

    function: str | None
    parameter: float | None  # the function's value of our parameter
    layer: str | None
    attributes: dict[str, Any]


class Onnx(NamedTuple):
    """An operator of the ONNX standard."""

    operator: str
    attributes: dict[str, Any]
    float64: bool  # whether ONNX Runtime has it in float64 too; else a formula is written
    since: int  # the first opset with it


INPLACE = ("inplace",)
BELOW = "below_above"  # 1 - a and 1 + a
ACTIVATIONS = [
    Activation(
        "sigmoid", (), "1 / (1 + e^-z)",
        ends=between(0, 1),
        prime_from="a", kinks=False, curved=True, whole_layer=False,
        from_z=("compare", "slope", "slope_of_log", "slope_of_log_below", "log_of_output",
                "log_below_output"),
        default_cost="cross_entropy", initializer="glorot_uniform",
        torch=(Torch("Sigmoid", {}, "sigmoid", ()),), keras=(Keras("sigmoid", None, None, {}),),
        onnx=Onnx("Sigmoid", {}, True, 6), sklearn=("logistic", "logistic"),
        aliases=("logistic", "expit")),
    Activation(
        "tanh", (), "tanh z",
        ends=between(-1, 1),
        prime_from="a", kinks=False, curved=True, whole_layer=False,
        from_z=("compare", "slope", "slope_of_log_below", "log_below_output"),
        default_cost="quadratic", initializer="glorot_uniform",
        torch=(Torch("Tanh", {}, "tanh", ()),), keras=(Keras("tanh", None, None, {}),),
        onnx=Onnx("Tanh", {}, True, 6), sklearn=("tanh", None), aliases=()),
    Activation(
        "relu", (), "max(z, 0)",
        ends=between(0, INFINITY),
        prime_from="a", kinks=True, curved=False, whole_layer=False, from_z=None,
        default_cost="quadratic", initializer="he_normal",
        torch=(Torch("ReLU", {}, "relu", INPLACE),),
        keras=(Keras("relu", None, "ReLU", {
            "max_value": (None,), "negative_slope": (0,), "threshold": (0,)}),),
        onnx=Onnx("Relu", {}, True, 6), sklearn=("relu", None), aliases=()),
    Activation(
        "relu6", (Parameter("ceiling", 6.0, "positive"),), "min(max(z, 0), ceiling)",
        ends=lambda ceiling: (0, ceiling),
        prime_from="a", kinks=True, curved=False, whole_layer=False, from_z=(),
        default_cost="quadratic", initializer="he_normal",
        torch=(Torch("Hardtanh", {"min_val": (0.0,), "max_val": PARAMETER}, "hardtanh",
                     ("min_val", "max_val", "inplace")),
               Torch("ReLU6", {}, "relu6", INPLACE)),
        keras=(Keras("relu6", 6.0, "ReLU", {
            "max_value": PARAMETER, "negative_slope": (0,), "threshold": (0,)}),),
        onnx=None, sklearn=(None, None), aliases=()),
    Activation(
        "leaky_relu", (Parameter("alpha", 0.01, "not negative"),),
        "z for z > 0, else alpha z",
        ends=lambda alpha: (-INFINITY if alpha else 0, INFINITY),
        prime_from="a", kinks=True, curved=False, whole_layer=False, from_z=None,
        default_cost="quadratic", initializer="he_normal",
        torch=(Torch("LeakyReLU", {"negative_slope": PARAMETER}, "leaky_relu",
                     ("negative_slope", "inplace")),),
        keras=(Keras("leaky_relu", 0.2, "LeakyReLU", {"negative_slope": PARAMETER}),
               Keras(None, None, "ReLU", {
                   "max_value": (None,), "negative_slope": PARAMETER, "threshold": (0,)})),
        onnx=Onnx("LeakyRelu", {"alpha": PARAMETER}, False, 6), sklearn=(None, None),
        aliases=("lrelu",)),
    Activation(
        "elu", (Parameter("alpha", 1.0, "not negative"),),
        "z for z > 0, else alpha (e^z - 1)",
        ends=lambda alpha: (-alpha, INFINITY),
        prime_from="a", kinks=False, curved=True, whole_layer=False, from_z=(BELOW, "slope"),
        default_cost="quadratic", initializer="he_normal",
        torch=(Torch("ELU", {"alpha": PARAMETER}, "elu", ("alpha", "inplace")),
               Torch("CELU", {"alpha": (1,)}, "celu", ("alpha", "inplace"))),
        keras=(Keras("elu", 1.0, "ELU", {"alpha": PARAMETER}),),
        onnx=Onnx("Elu", {"alpha": PARAMETER}, False, 6), sklearn=(None, None), aliases=()),
    Activation(
        "selu", (), "1.0507... z for z > 0, else 1.0507... 1.6732... (e^z - 1)",
        ends=between(-1.7580993408473766, INFINITY),
        prime_from="a", kinks=True, curved=True, whole_layer=False, from_z=("slope",),
        default_cost="quadratic", initializer="lecun_normal",
        torch=(Torch("SELU", {}, "selu", INPLACE),), keras=(Keras("selu", None, None, {}),),
        onnx=Onnx("Selu", {}, False, 6), sklearn=(None, None), aliases=()),
    Activation(
        "gelu", (), "z P(normal < z)",
        ends=between(-0.16997120747990369, INFINITY),
        prime_from="z", kinks=False, curved=True, whole_layer=False, from_z=(),
        default_cost="quadratic", initializer="he_normal",
        torch=(Torch("GELU", {"approximate": ("none",)}, "gelu", ("approximate",)),),
        keras=(Keras("gelu", None, None, {}),), onnx=None, sklearn=(None, None), aliases=()),
    Activation(
        "gelu_tanh", (), "z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))) / 2",
        ends=between(-0.17004075057125412, INFINITY),
        prime_from="z", kinks=False, curved=True, whole_layer=False, from_z=(),
        default_cost="quadratic", initializer="he_normal",
        torch=(Torch("GELU", {"approximate": ("tanh",)}, "gelu", ("approximate",)),),
        keras=(), onnx=None, sklearn=(None, None), aliases=()),
    Activation(
        "silu", (), "z / (1 + e^-z)",
        ends=between(-0.27846454276107380, INFINITY),
        prime_from="z", kinks=False, curved=True, whole_layer=False, from_z=(),
        default_cost="quadratic", initializer="he_normal",
        torch=(Torch("SiLU", {}, "silu", INPLACE),), keras=(Keras("silu", None, None, {}),),
        onnx=None, sklearn=(None, None), aliases=("swish",)),
    Activation(
        "mish", (), "z tanh(ln(1 + e^z))",
        ends=between(-0.30884341301725041, INFINITY),
        prime_from="z", kinks=False, curved=True, whole_layer=False, from_z=(),
        default_cost="quadratic", initializer="he_normal",
        torch=(Torch("Mish", {}, "mish", INPLACE),), keras=(Keras("mish", None, None, {}),),
        onnx=Onnx("Mish", {}, False, 18), sklearn=(None, None), aliases=()),
    Activation(
        "softplus", (), "ln(1 + e^z)",
        ends=between(0, INFINITY),
        prime_from="a", kinks=False, curved=True, whole_layer=False,
        from_z=("slope_of_log", "log_of_output"),
        default_cost="quadratic", initializer="glorot_uniform",
        # 20 is torch's default; the difference is below 2e-9
        torch=(Torch("Softplus", {"beta": (1,), "threshold": (40, 20)}, "softplus",
                     ("beta", "threshold")),),
        keras=(Keras("softplus", None, None, {}),),
        onnx=Onnx("Softplus", {}, False, 1), sklearn=(None, None), aliases=()),
    Activation(
        "softsign", (), "z / (1 + abs(z))",
        ends=between(-1, 1),
        prime_from="a", kinks=False, curved=True, whole_layer=False, from_z=(BELOW, "slope"),
        default_cost="quadratic", initializer="glorot_uniform",
        torch=(Torch("Softsign", {}, "softsign", ()),), keras=(Keras("softsign", None, None, {}),),
        onnx=Onnx("Softsign", {}, False, 1), sklearn=(None, None), aliases=()),
    Activation(
        "hard_sigmoid", (), "min(max(z + 3, 0), 6) / 6",
        ends=between(0, 1),
        prime_from="a", kinks=True, curved=False, whole_layer=False, from_z=(BELOW,),
        default_cost="quadratic", initializer="glorot_uniform",
        torch=(Torch("Hardsigmoid", {}, "hardsigmoid", INPLACE),),
        keras=(Keras("hard_sigmoid", None, None, {}),),
        onnx=Onnx("HardSigmoid", {"alpha": (1 / 6,), "beta": (0.5,)}, False, 6),
        sklearn=(None, None), aliases=()),
    Activation(
        "hard_tanh", (), "min(max(z, -1), 1)",
        ends=between(-1, 1),
        prime_from="a", kinks=True, curved=False, whole_layer=False, from_z=None,
        default_cost="quadratic", initializer="glorot_uniform",
        torch=(Torch("Hardtanh", {"min_val": (-1.0,), "max_val": (1.0,)}, "hardtanh",
                     ("min_val", "max_val", "inplace")),),
        keras=(Keras("hard_tanh", None, None, {}),), onnx=None, sklearn=(None, None), aliases=()),
    Activation(
        "exponential", (), "e^z",
        ends=between(0, INFINITY),
        prime_from="a", kinks=False, curved=True, whole_layer=False,
        from_z=(BELOW, "slope", "slope_of_log", "log_of_output"),
        default_cost="quadratic", initializer="glorot_uniform",
        torch=(Torch(None, {}, "exp", ()),), keras=(Keras("exponential", None, None, {}),),
        onnx=Onnx("Exp", {}, True, 6), sklearn=(None, "exp"), aliases=("exp",)),
    Activation(
        "gaussian", (), "e^(-z^2)",
        ends=between(0, 1),
        prime_from="z", kinks=False, curved=True, whole_layer=False,
        from_z=(BELOW, "slope_of_log", "slope_of_log_below", "log_of_output", "log_below_output"),
        default_cost="quadratic", initializer="glorot_uniform",
        torch=(), keras=(), onnx=None, sklearn=(None, None), aliases=()),
    Activation(
        "sine", (), "sin z",
        ends=between(-1, 1),
        prime_from="z", kinks=False, curved=True, whole_layer=False,
        from_z=(BELOW, "slope_of_log_below"),
        default_cost="quadratic", initializer="glorot_uniform",
        torch=(Torch(None, {}, "sin", ()),), keras=(),
        onnx=Onnx("Sin", {}, True, 7), sklearn=(None, None), aliases=("sin",)),
    Activation(
        "identity", (), "z",
        ends=between(-INFINITY, INFINITY),
        prime_from="1", kinks=False, curved=False, whole_layer=False, from_z=None,
        default_cost="quadratic", initializer="glorot_uniform",
        torch=(Torch("Identity", {}, None, ()),),
        keras=(Keras("linear", None, "Identity", {}),), onnx=Onnx("Identity", {}, True, 1),
        sklearn=("identity", "identity"), aliases=("linear",)),
    Activation(
        "softmax", (), "e^z_j / sum_k e^z_k, over the whole layer",
        ends=between(0, 1),
        prime_from="a", kinks=False, curved=True, whole_layer=True, from_z=("compare",),
        default_cost="log_likelihood", initializer="glorot_uniform",
        torch=(Torch("Softmax", {"dim": (-1, 1, None)}, "softmax",
                     ("dim", "_stacklevel", "dtype")),),
        keras=(Keras("softmax", None, "Softmax", {"axis": (-1, 1)}),),
        onnx=Onnx("Softmax", {"axis": (1,)}, True, 13), sklearn=(None, "softmax"), aliases=()),
]


def with_form(form: str) -> list[Activation]:
    """Return the activations that list this form in `from_z`."""
    return [row for row in ACTIVATIONS if form in (row.from_z or ())]


# ---- costs ----


class Cost(NamedTuple):
    """A cost: its block is in functions/costs.pxi."""

    name: str
    parameters: tuple[Parameter, ...]
    formula: str  # of one output, for the documentation
    targets: str  # for the documentation, and for who brings others
    takes: tuple[float, float]  # what targets lie between
    by_sign: bool  # whether targets are two: 0 and 1, or -1 and 1
    default_output: str | None  # the default output activation; None: that of the hidden layers
    threshold: float  # a single output above it means class 1
    kinks: bool  # whether C or dC/da has kinks
    logarithms: int  # 0; 1 for ln a; 2 for ln a and ln(1 - a). With any, BP1 has its own formula
    by_output: bool  # whether it is a sum over outputs; else it is a function of the whole row
    pairs: tuple[str, ...]  # outputs for which BP1 has one formula and its own loops
    with_softmax: str | None  # BP1 for softmax: "minus" for -y ln a; "two classes" for both
    # logarithms; None for softmax's Jacobian times dC/da, if nothing cancels
    of_classes: bool  # whether an output of softmax with y = 0 costs nothing
    torch: str | None  # its class there, which may take logits or average
    keras: str | None
    aliases: tuple[str, ...]  # names of other libraries, which may take the mean


ANY = (-INFINITY, INFINITY)
A_MIN = Parameter("a_min", 0.0, "not negative")
SMOOTHING = Parameter("label_smoothing", 0.0, "from 0 to below 1")  # applied when targets are read
COSTS = [
    Cost("quadratic", (), "(a - y)^2 / 2", "any",
         takes=ANY, by_sign=False,
         default_output=None, threshold=0.5, kinks=False, logarithms=0, by_output=True,
         pairs=("sigmoid", "tanh"), with_softmax=None,
         of_classes=False, torch="MSELoss", keras="MeanSquaredError",
         aliases=("mse", "mse_loss", "mean_squared_error", "squared_error", "l2_loss")),
    Cost("cross_entropy", (A_MIN, SMOOTHING),
         "-y ln a - (1 - y) ln(1 - a), logarithms of at least a_min, for y (1 - label_smoothing) + "
         "label_smoothing / 2", "0 to 1, or labels",
         takes=(0, 1), by_sign=False,
         default_output="sigmoid", threshold=0.5, kinks=False, logarithms=2, by_output=True,
         pairs=("sigmoid",),
         with_softmax="two classes", of_classes=False,
         torch="BCELoss", keras="BinaryCrossentropy",
         aliases=("bce", "bce_loss", "binary_cross_entropy", "bce_with_logits_loss")),
    Cost("log_likelihood", (A_MIN, SMOOTHING),
         "-y ln a, likewise, for y (1 - label_smoothing) + label_smoothing / outputs",
         "0 to 1, or labels",
         takes=(0, 1), by_sign=False,
         default_output="softmax", threshold=0.5, kinks=False, logarithms=1, by_output=True,
         pairs=(), with_softmax="minus",
         of_classes=True, torch="CrossEntropyLoss", keras="CategoricalCrossentropy",
         aliases=("nll", "nll_loss", "negative_log_likelihood", "cross_entropy_loss",
                  "categorical_cross_entropy", "sparse_categorical_cross_entropy")),
    Cost("focal", (Parameter("gamma", 2.0, "not negative"),),
         "-y (1 - a)^gamma ln a - (1 - y) a^gamma ln(1 - a)", "0 to 1, or labels",
         takes=(0, 1), by_sign=False,
         default_output="sigmoid", threshold=0.5, kinks=False, logarithms=2, by_output=True,
         pairs=(), with_softmax="two classes",
         of_classes=False, torch=None, keras="BinaryFocalCrossentropy",
         aliases=("focal_loss", "binary_focal_cross_entropy")),
    Cost("absolute", (), "abs(a - y)", "any",
         takes=ANY, by_sign=False,
         default_output=None, threshold=0.5, kinks=True, logarithms=0, by_output=True,
         pairs=(), with_softmax=None, of_classes=False,
         torch="L1Loss", keras="MeanAbsoluteError",
         aliases=("mae", "mean_absolute_error", "absolute_error", "l1", "l1_loss")),
    Cost("huber", (Parameter("delta", 1.0, "positive"),),
         "d^2 / 2 for d = abs(a - y) < delta, else delta (d - delta / 2)", "any",
         takes=ANY, by_sign=False,
         default_output=None, threshold=0.5, kinks=True, logarithms=0, by_output=True,
         pairs=(), with_softmax=None, of_classes=False,
         torch="HuberLoss", keras="Huber",
         aliases=("huber_loss",)),
    Cost("quantile", (Parameter("tau", 0.5, "between 0 and 1"),),
         "tau (y - a) for a < y, else (1 - tau) (a - y)", "any",
         takes=ANY, by_sign=False,
         default_output=None, threshold=0.5, kinks=True, logarithms=0, by_output=True,
         pairs=(), with_softmax=None, of_classes=False,
         torch=None, keras=None,
         aliases=("pinball", "pinball_loss", "quantile_loss")),
    Cost("log_cosh", (), "ln cosh(a - y)", "any",
         takes=ANY, by_sign=False,
         default_output=None, threshold=0.5, kinks=False, logarithms=0, by_output=True,
         pairs=(), with_softmax=None, of_classes=False,
         torch=None, keras="LogCosh", aliases=()),
    Cost("hinge", (), "max(1 - s a, 0), with s = 1 where y > 0, else -1",
         "0 and 1, or -1 and 1; or labels",
         takes=(-1, 1), by_sign=True,
         default_output="identity", threshold=0.0, kinks=True, logarithms=0, by_output=True,
         pairs=(), with_softmax=None, of_classes=False,
         torch=None, keras="Hinge", aliases=()),
    Cost("squared_hinge", (), "max(1 - s a, 0)^2", "0 and 1, or -1 and 1; or labels",
         takes=(-1, 1), by_sign=True,
         default_output="identity", threshold=0.0, kinks=True, logarithms=0, by_output=True,
         pairs=(), with_softmax=None, of_classes=False,
         torch=None, keras="SquaredHinge", aliases=()),
    Cost("poisson", (Parameter("constant", 0.0, "not negative"),),
         "a - y ln a + constant (y ln y - y), half the deviance for constant = 1",
         "0 or more",
         takes=(0, INFINITY), by_sign=False,
         default_output="softplus", threshold=0.5, kinks=False, logarithms=1, by_output=True,
         pairs=(), with_softmax="minus",
         of_classes=False, torch="PoissonNLLLoss", keras="Poisson", aliases=()),
    Cost("kl_divergence", (), "y ln(y / a)", "0 to 1",
         takes=(0, 1), by_sign=False,
         default_output="softmax", threshold=0.5, kinks=False, logarithms=1, by_output=True,
         pairs=(), with_softmax="minus",
         of_classes=True, torch="KLDivLoss", keras="KLDivergence",
         aliases=("kld", "kl_div", "kl_div_loss")),
    Cost("cosine", (), "1 - a.y / (abs(a) abs(y)), of the whole row", "any",
         takes=ANY, by_sign=False,
         default_output=None, threshold=0.5, kinks=False, logarithms=0, by_output=False,
         pairs=(), with_softmax=None, of_classes=False,
         torch="CosineEmbeddingLoss", keras="CosineSimilarity",
         aliases=("cosine_similarity",)),
]


# ---- optimizers: blocks in functions/optimizers.pxi.tp, classes in cbackprop/optimizers.py ----


class Number(NamedTuple):
    """A finite number of an optimizer. The default is in the optimizer's class."""

    name: str
    low: float  # the least allowed value
    below: float  # an excluded upper bound


class Optimizer(NamedTuple):
    """An optimizer: its block is in functions/optimizers.pxi.tp, its class in optimizers.py."""

    name: str
    numbers: tuple[Number, ...]  # attributes of the class
    n_slots: int  # state arrays, each with one number per parameter
    derived: tuple[str, ...]  # numbers of a step that its `prepare` function computes
    starts_at_eta: tuple[int, ...]  # the slots that start at the learning rate instead of zero
    aliases: tuple[str, ...]


MOMENTUM = Number("momentum", 0, 1)
BETA1, BETA2 = Number("beta1", 0, 1), Number("beta2", 0, 1)
EPSILON = Number("epsilon", 0, INFINITY)

OPTIMIZERS = [
    Optimizer("sgd", (), n_slots=0, derived=(), starts_at_eta=(), aliases=()),
    Optimizer("momentum", (MOMENTUM,), n_slots=1, derived=(), starts_at_eta=(), aliases=()),
    Optimizer("nesterov", (MOMENTUM,), n_slots=1, derived=(), starts_at_eta=(), aliases=("nag",)),
    Optimizer("adagrad", (EPSILON,), n_slots=1, derived=(), starts_at_eta=(), aliases=()),
    Optimizer("rmsprop", (Number("rho", 0, 1), EPSILON), n_slots=1, derived=(), starts_at_eta=(),
              aliases=()),
    Optimizer("adam", (BETA1, BETA2, EPSILON, Number("epsilon_hat", 0, INFINITY)),
              n_slots=2, derived=("root_scale",), starts_at_eta=(), aliases=("adamw",)),
    Optimizer("rprop", (Number("shrink", 0, 1), Number("grow", 1, INFINITY),
                        Number("smallest", 0, INFINITY), Number("largest", 0, INFINITY)),
              n_slots=2, derived=(), starts_at_eta=(1,), aliases=()),
    Optimizer("lion", (BETA1, BETA2), n_slots=1, derived=(), starts_at_eta=(), aliases=()),
    Optimizer("nadam", (BETA1, BETA2, EPSILON, Number("momentum_decay", 0, INFINITY)),
              n_slots=2, derived=("eta_g", "eta_m", "root_scale"), starts_at_eta=(), aliases=()),
]
