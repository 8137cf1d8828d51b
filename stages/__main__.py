"""`python -m stages`: the same as `prep`, where that is not on the PATH."""

from stages.entry import main

main()
