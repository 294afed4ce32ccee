# The core, built for v4 and float32: setup.py sets the flags and the real type.
include "simd.pxi"
include "elementwise.pxi"
include "rows.pxi"
include "gemm.pxi"
include "backprop.pxi"
include "core.pxi"
include "limits.pxi"
include "alone.pxi"
