"""Which costs and activations go together."""

from reference import ACTIVATIONS, COSTS

from cbackprop.core import table

UNIT = {"sigmoid", "softmax"}
POSITIVE = UNIT | {"softplus", "exponential", "gaussian"}
DOMAIN = {row.name: POSITIVE if row.logarithms == 1 else UNIT
          for row in table.COSTS if row.logarithms}
PAIRS = [(cost, activation) for cost in COSTS for activation in ACTIVATIONS
         if activation in DOMAIN.get(cost, ACTIVATIONS)]
SOME_PAIRS = [(cost, activation) for cost, activation in PAIRS
              if cost == "quadratic" or activation in UNIT]
KINKS = {row.name for row in [*table.ACTIVATIONS, *table.COSTS] if row.kinks}
