from cbackprop.core.builds._baseline_float32 import *
