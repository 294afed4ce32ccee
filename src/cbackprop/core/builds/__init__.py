"""The core, built once per instruction set and real type. `_dispatch` loads one."""
