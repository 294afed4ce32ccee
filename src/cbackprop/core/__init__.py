"""Chapter 2 in typed Cython. Open `chapter/backprop.pxi` first."""
