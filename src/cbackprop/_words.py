"""Names from other libraries: they are understood, or the error suggests ours."""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, TypeVar, cast

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])

# The names that Keras, PyTorch, scikit-learn and others have for our arguments. A name may stand
# for several of ours; a function has one of them.
ARGUMENTS = {our: words.split() for our, words in {
    "sizes": "hidden_layer_sizes hidden_sizes layer_sizes layers hidden hidden_units units shape",
    "cost": "loss criterion objective loss_fn loss_function",
    "activation": "activations act activation_function hidden_activation nonlinearity",
    "output_activation": "out_activation activation_out final_activation last_activation",
    "initializer": "init weight_init kernel_initializer bias_initializer init_method",
    "input_scale": "scale rescale rescaling",
    "seed": "random_state random_seed rng",
    "threads": "n_jobs n_threads num_threads workers num_workers",
    "dtype": "precision",
    "eta": "lr learning_rate learning_rate_init step_size lr_scheduler scheduler lr_schedule",
    "mini_batch_size": "batch_size batch batchsize bs minibatch_size",
    "epochs": "n_epochs n_epoch nb_epoch nb_epochs num_epochs max_epochs max_iter n_iter",
    "iterations": "epochs max_iter maxiter n_iter num_iterations",
    "training_data": "x y X x_train y_train X_train train train_data train_loader data dataset",
    "test_data": "x_test y_test X_test test test_loader",
    "evaluation_data": "validation_data val_data valid_data eval_data validation val_loader",
    "monitor": "metrics metric scoring",
    "optimizer": "solver optim",
    "lmbda": "alpha l2 lambda_ lambd reg regularization penalty reg_lambda",
    "clip_norm": "clipnorm global_clipnorm max_grad_norm gradient_clip_val grad_clip",
    "clip_value": "clipvalue",
    "dropout": "dropout_rate drop_rate",
    "verbose": "verbosity disp",
    "callbacks": "callback checkpoint",
    "tolerance": "tol gtol",
    "beta1": "beta_1 betas",
    "beta2": "beta_2",
    "epsilon": "eps",
    "rho": "alpha",
    "watched": "monitor",
    "path": "filepath filename file",
    "restore_best": "restore_best_weights",
    "resume": "ckpt_path resume_from_checkpoint",
    "every_steps": "save_freq save_steps every_n_train_steps",
    "every_seconds": "train_time_interval",
    "minimize": "mode",
    "learning_rate_init": "eta lr",  # the estimators' from here on
    "hidden_layer_sizes": "sizes hidden_sizes layer_sizes layers hidden hidden_units units",
    "batch_size": "mini_batch_size batch batchsize bs",
    "max_iter": "epochs n_epochs nb_epoch num_epochs n_iter max_epochs",
    "random_state": "seed random_seed rng",
    "loss": "cost criterion objective",
    "solver": "optimizer optim",
    "alpha": "lmbda l2 weight_decay",
    "n_iter_no_change": "patience",
    "validation_fraction": "validation_split",
}.items()}
# The names that they have for what a network does, and what does it here.
METHODS = {word: ours for ours, words in {
    "SGD trains, and cbackprop.sklearn.MLPClassifier and MLPRegressor have fit":
        "fit partial_fit train fit_generator train_model learn",
    "Network takes the cost, and SGD the optimizer and the metrics, as monitor": "compile",
    "update_mini_batch takes one step": "train_on_batch train_step step partial_train",
    "feedforward returns the outputs": "forward call apply predict_on_batch activate",
    "backprop returns the gradient": "backward grad gradient zero_grad",
    "evaluate, accuracy and measure say how good it is": "score test eval test_on_batch",
    "weights and biases are lists of arrays, which may be assigned":
        "parameters named_parameters params get_weights set_weights trainable_weights "
        "trainable_variables coefs_ intercepts_ layers coef_ intercept_",
    "save writes a file that load reads; weights and biases are lists of arrays":
        "state_dict load_state_dict save_weights load_weights save_model load_model",
    "predict returns classes, predict_proba probabilities": "predict_classes decision_function",
    "sizes, dtype and threads are fixed or set when it is made": "to cuda cpu double half",
    "history has the cost of each epoch": "loss loss_ losses loss_curve_",
}.items() for word in words.split()}
# Functions in which an argument is looked up first.
SEARCHED_FIRST = "Network.SGD", "Model.__init__", "EarlyStopping.__init__"
_functions: dict[str, Callable[..., Any]] = {}  # functions by their qualified names
# If it is a list, warnings of this thread go there: those of one among many trainings.
collected_messages: ContextVar[list[str] | None] = ContextVar("collected_messages", default=None)


def plain(name: str) -> str:
    """
    Return a name in lower case, without underscores, hyphens and blanks.

    Examples
    --------
    >>> plain("Leaky_ReLU") == plain("LeakyReLU")
    True
    """
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()


def nearest(word: object, known: Iterable[str]) -> str | None:
    """
    Return the known name that is closest to a word, or None if none is close.

    Examples
    --------
    >>> nearest("rleu", ["tanh", "relu", "silu"])
    'relu'
    """
    if not isinstance(word, str):
        return None
    from difflib import get_close_matches  # for an error alone

    by_plain = {plain(name): name for name in known}
    found = get_close_matches(plain(word[:100]), by_plain, 1, 0.7)
    return by_plain[found[0]] if found else None


def meant(word: object, known: Iterable[str]) -> str:
    """Return "; did you mean ...?", the end of an error, or "" if no known name is close."""
    name = nearest(word, known)
    return "" if name in (None, word) else f"; did you mean {name!r}?"


def unknown_attribute(owner: object, name: str) -> AttributeError:
    """
    Return the error for an attribute that there is not; it says what does its work here.

    Examples
    --------
    >>> print(unknown_attribute(3, "forward"))
    'int' object has no attribute 'forward': feedforward returns the outputs
    """
    remedy = f": {METHODS[name]}" if name in METHODS else ""
    return AttributeError(f"{type(owner).__name__!r} object has no attribute {name!r}{remedy}",
                          name=name, obj=owner)


def suggesting(*methods: str, **handing_on: str) -> Callable[[C], C]:
    """
    Decorate a class: its methods answer an unknown keyword with the one that was meant.

    If there are too many positional arguments, the error names those that the method takes. Type
    checkers and `help` see the methods as they are written.

    Parameters
    ----------
    *methods : str
        The names of the methods, such as ``__init__``.
    **handing_on : str
        A method that passes its keywords on, and the name of the method that takes them.
    """
    def decorate(kind: C) -> C:
        for name in [*methods, *handing_on]:
            function = vars(kind)[name]
            like = vars(kind)[handing_on.get(name, name)]
            setattr(kind, name, _suggesting(function, inspect.unwrap(like)))
        return kind

    return decorate


def answering(function: F) -> F:
    """Decorate a function, which then answers an unknown keyword as `suggesting` methods do."""
    return cast(F, _suggesting(function, function))


def _suggesting(function: Callable[..., Any], like: Callable[..., Any]) -> Callable[..., Any]:
    is_method = "." in like.__qualname__
    if is_method and "sklearn" not in like.__module__.split("."):  # its names are scikit-learn's
        _functions[like.__qualname__] = like

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError:
            known = inspect.signature(like).parameters
            places = [name for name, one in known.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
            unknown = next((word for word in kwargs if word not in known), None)
            if unknown is None and len(args) <= len(places):
                raise
        title = type(args[0]).__name__ if like.__name__ == "__init__" else like.__name__
        if unknown is None:
            raise TypeError(f"{title}() takes {', '.join(places[is_method:])} without a keyword, "
                            f"got {len(args) - is_method} arguments") from None
        raise TypeError(f"{title}() got an unexpected keyword argument {unknown!r}"
                        f"{_answer(unknown, [*known], like.__qualname__)}") from None

    return call


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, and point at the line outside this package from which the call came."""
    messages = collected_messages.get()
    if messages is not None:
        messages.append(message)
        return
    level, frame = 1, sys._getframe()
    here = __name__.partition(".")[0]
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == here:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _answer(word: str, known: list[str], function: str) -> str:
    """Return ": did you mean ...?", the end of an error, or "" if no argument is close."""
    words = _ours(known)
    ours = words.get(plain(word))
    if ours is None and function in _functions:
        for name in [*filter(_functions.__contains__, SEARCHED_FIRST), *_functions]:
            found = _ours([*inspect.signature(_functions[name]).parameters]).get(plain(word))
            if found is not None and found not in known:
                return f": did you mean {found!r} of {_place(name)}?"
    ours = ours or words.get(nearest(word, words) or "")
    return "" if ours is None else f": did you mean {ours!r}?"


def argument(word: str, known: Iterable[str]) -> str | None:
    """
    Return the known argument that a word of another library stands for, or one that it is like.

    Examples
    --------
    >>> argument("learning-rate", ["eta", "epochs"]), argument("epohcs", ["eta", "epochs"])
    ('eta', 'epochs')
    """
    words = _ours(list(known))
    return words.get(plain(word)) or words.get(nearest(word, words) or "")


def _ours(known: list[str]) -> dict[str, str]:
    """Return the known argument for each plain name, which is its own or another library's."""
    pairs = [(word, ours) for ours in known if ours != "self"
             for word in (*ARGUMENTS.get(ours, ()), ours)]
    return {plain(word): ours for word, ours in pairs}


def _place(name: str) -> str:
    """Return the name by which a user knows a function."""
    owner, _, method = name.rpartition(".")
    if method != "__init__":
        return name
    module = _functions[name].__module__.rpartition(".")[2]
    return "Network" if owner == "Model" else f"{module}.{owner}"
