"""How a number finds its bytes: identities, snapshots and the way back; and what the code of a stage means."""
