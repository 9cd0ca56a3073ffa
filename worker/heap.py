"""What a process has loaded, out of the garbage collector's way."""

import gc


def settle() -> None:
    """Collect no more what is there by now; it stays for as long as the process does.

    A full collection looks at all modules' objects, for 0.15 s each time, in which no
    look-up of the process goes on.
    """
    gc.collect()
    gc.freeze()
