"""`python -m stages` does the same as `prep`, for environments where that is not on the PATH."""

from stages.entry import main

main()
