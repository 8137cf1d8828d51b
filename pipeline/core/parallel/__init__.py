"""Work in several processes: stages call `engine`, which runs `pool` for safe work, `supervised` for what may crash."""
