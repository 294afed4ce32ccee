include "../all.pxi"
