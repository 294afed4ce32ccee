"""Chapter 2 in typed Cython. Open `backprop.pxi` first."""
