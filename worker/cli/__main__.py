"""`python -m worker.cli`: how one process of ours starts another."""

from worker.cli import main

main()
