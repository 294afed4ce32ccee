# The check of arrays from Python.

cimport numpy as cnp

import numpy as np

cnp.import_array()


cdef object numeric_array(x):
    # Cython 3.3 crashes in its error message for a structured dtype, so refuse those here.
    if not cnp.PyArray_Check(x) or cnp.PyArray_TYPE(x) == cnp.NPY_VOID:
        raise TypeError(f"the core takes arrays of numbers, got {type(x).__name__} of "
                        f"{getattr(x, 'dtype', 'others')}")
    return x
