"""Work in several processes: `pool` for work that is safe, `supervised` for work that may crash its process."""
