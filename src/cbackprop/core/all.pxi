# All of the core, of float32 or float64: one network, and what is built on it, floor by floor.

include "network.pxi"
include "kernels/lane_products.pxi"
include "ensemble/layout.pxi"
include "ensemble/lanes_examples.pxi"
include "ensemble/lanes_outputs.pxi"
include "ensemble/lanes_backprop.pxi"
include "ensemble/lanes_step.pxi"
include "boundary/ensemble.pxi"
include "boundary/short.pxi"
include "bench/steps.pxi"
include "bench/elementary.pxi"
include "bench/roofline.pxi"
