# NumPy's arrays, as the core takes them.

cimport numpy as cnp

import numpy as np

cnp.import_array()


cdef object numeric_array(x):
    # Cython 3.3 crashes where it says what is wrong with the fields of others.
    if not cnp.PyArray_Check(x) or cnp.PyArray_TYPE(x) == cnp.NPY_VOID:
        raise TypeError(f"the core takes arrays of numbers, got {type(x).__name__} of "
                        f"{getattr(x, 'dtype', 'others')}")
    return x
