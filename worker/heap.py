"""The heap of a process that serves for long: what stays is not looked at again."""

import gc


def freeze_heap() -> None:
    """Take what is loaded by now out of the garbage collector's way.

    A full collection looks at all modules' objects, for 0.15 s each time, in which
    nothing else of the process goes on.
    """
    gc.collect()
    gc.freeze()
