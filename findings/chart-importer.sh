#!/usr/bin/env bash
# pygal 3.1.3 and Python's import system.
#
# A chart library is imported inside a function, so that only who draws pays for it.
# Expected: whatever is imported or looked for afterwards behaves as before.
# Seen: the import puts an object into sys.meta_path that has find_module and no
#   find_spec. Python 3.11 asks it for each module that no other finder knows, and warns
#   (ImportWarning); where warnings are errors, an optional import that was tried in
#   `try: ... except ImportError` ends the program instead. Python 3.12 and newer pass
#   over it, so the maps it is there for cannot be imported through it any more.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pygal==3.1.3 || exit 2
"$folder/venv/bin/python" - <<'PY'
import importlib.metadata
import sys
import warnings

print("pygal", importlib.metadata.version("pygal"), "Python", sys.version.split()[0])


def optional() -> str:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            import a_module_that_is_not_there  # noqa: F401
        except ImportError:
            pass
    return ", ".join(one.category.__name__ for one in seen) or "no warning"


before = optional()
import pygal  # noqa: E402, F401

left = [one for one in sys.meta_path if not hasattr(one, "find_spec")]
after = optional()
print("before the import:", before)
print("after it:", after)
print("finders without find_spec:", [type(one).__name__ for one in left])
old = sys.version_info < (3, 12)
expected = "ImportWarning" if old else "no warning"
sys.exit(0 if (before, after, len(left)) == ("no warning", expected, 1) else 1)
PY
