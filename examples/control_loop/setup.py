"""Build it in place: ``python setup.py build_ext --inplace``, with Cython and cbackprop installed."""

from Cython.Build import cythonize
from setuptools import setup

setup(name="control", ext_modules=cythonize("control.pyx"))
