"""Doctests of integrations whose package is not installed are not collected."""

from importlib.util import find_spec

collect_ignore = [
    f"src/autowarmup/integrations/{name}.py"
    for name, package in (("axolotl", "axolotl"), ("llamafactory", "llamafactory"))
    if find_spec(package) is None
]
