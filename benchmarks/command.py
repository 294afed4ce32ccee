"""
What every benchmark does around its measuring: arguments, where it runs, what is to be reached.

Only the standard library is imported here, for a benchmark does so before it imports NumPy.
"""

import argparse
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import common
from common import Start, stopwatch, table

Results = dict[str, Any]


class Bound(NamedTuple):
    """Something to be reached, and how it is printed; at least, or else at most."""

    what: str
    to_reach: float
    measured: float
    form: str = "{:.2f}"
    at_least: bool = True

    @property
    def reached(self) -> bool:
        """Whether it is; not by NaN."""
        return (self.measured >= self.to_reach if self.at_least else
                self.measured <= self.to_reach)


def positive(text: str) -> int:
    """Return an argument that counts something."""
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


@dataclass(frozen=True)
class Command:
    """
    A benchmark on the command line.

    Attributes
    ----------
    name : str
    document : str
        Its module's docstring, of which the first line is the help.
    start : Start
    measure : function
        Takes the arguments, prints and returns what was measured; "bounds" are `Bound`.
    repeat : int
        Rounds if not asked for; 1 if tiny.
    works : sequence of str
        Names for ``--work``, if there are any to choose from.
    options : dict
        Of further arguments, what argparse is told.
    load : function, optional
        Takes the arguments, imports opponents, and returns their modules by name, and why others
        are absent; `arguments.modules` are the former.
    aim : str
        On what "to reach" is meant.
    """

    name: str
    document: str
    start: Start
    measure: Callable[[argparse.Namespace], Results]
    repeat: int
    works: Sequence[str] = ()
    options: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    load: Callable[[argparse.Namespace], tuple[dict[str, Any], dict[str, str]]] | None = None
    aim: str = "on one core"

    def __call__(self, argv: Sequence[str] | None = None) -> None:
        """Do all of it."""
        arguments = self.arguments(argv)
        about: Results = {}
        results: Results = {"benchmark": self.name, "tiny": arguments.tiny,
                            "repeat": arguments.repeat}
        if self.load:
            from opponents import versions

            warnings.simplefilter("ignore")  # what opponents deprecate is not ours to repair
            arguments.modules, results["absent"] = self.load(arguments)
            about["packages"] = versions(arguments.modules)
        arguments.about = about = common.environment(self.start) | about
        common.print_environment(about)
        if self.load:
            print(f"{'packages':<10} "
                  + (", ".join(f"{name} {version}" for name, version in about["packages"].items())
                     or "none of the opponents'"))
        for name, why in results.get("absent", {}).items():
            print(f"{'ABSENT':<10} {name}: {why}")
        results |= {"environment": about, **self.measure(arguments)}
        if results.get("bounds"):
            results["bounds"] = self.judged(results["bounds"], about, arguments.tiny)
        print(f"\n{stopwatch}")
        results["measured_seconds"] = {"wall": stopwatch.wall, "cpu": stopwatch.cpu}
        if arguments.json:
            common.write_json(arguments.json, results)

    def arguments(self, argv: Sequence[str] | None) -> argparse.Namespace:
        """Parse the arguments."""
        parser = argparse.ArgumentParser(description=self.document.strip().partition("\n")[0])
        if self.works:
            parser.add_argument("--work", nargs="+", choices=self.works, default=self.works,
                                metavar="NAME", help=f"some of {', '.join(self.works)}")
        for name, how in self.options.items():
            parser.add_argument(name, **how)
        parser.add_argument("--repeat", type=positive, metavar="N",
                            help=f"rounds ({self.repeat}; 1 if tiny)")
        parser.add_argument("--tiny", action="store_true",
                            help="little of everything, to see that it runs")
        parser.add_argument("--json", metavar="FILE", help="where to write what was measured")
        arguments = parser.parse_args(argv)
        arguments.repeat = arguments.repeat or (1 if arguments.tiny else self.repeat)
        return arguments

    def judged(self, bounds: Iterable[Bound], about: Results, tiny: bool) -> list[Results]:
        """Print what was to be reached, and whether it was; return it to be kept."""
        bounds = list(bounds)
        here = f"{about['variant']}, {common.count(about['threads'], 'thread')}"
        print(f"\nto reach {self.aim}; here {here}"
              + ": (a tiny run says nothing about that)" * tiny)
        print(table(("", "to reach", "measured", ""), [
            (one.what, one.form.format(one.to_reach), one.form.format(one.measured),
             "reached" if one.reached else "short") for one in bounds]))
        return [{"what": one.what, "to_reach": one.to_reach, "measured": one.measured,
                 "reached": one.reached} for one in bounds]
