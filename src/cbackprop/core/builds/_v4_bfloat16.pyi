from cbackprop.core.builds._baseline_bfloat16 import *
