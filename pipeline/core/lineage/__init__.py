"""From a number back to its bytes: `identity` (DVC's hashes), `snapshot`, `walk`; and `code`, fingerprints of code."""
