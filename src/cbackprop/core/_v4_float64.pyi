from cbackprop.core._baseline_float32 import *
