"""With Cython and cbackprop installed: ``python setup.py build_ext --inplace``."""

from Cython.Build import cythonize
from setuptools import setup

setup(name="control", ext_modules=cythonize("control.pyx"))
