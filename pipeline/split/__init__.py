"""No one in two sets: groups of all that must stay together (`groups`), shared out (`assign`), certified."""
