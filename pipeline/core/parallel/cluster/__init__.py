"""The engine on Ray: `connect` joins a cluster, `entry` is what its nodes run first, `part` does a part there.

`drive` hands the parts out. `ray` is imported here alone, and only if PREP_CLUSTER is set.
"""
