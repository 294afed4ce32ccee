include "../network.pxi"
