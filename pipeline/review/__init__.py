"""The page on which people decide: `queue` (which samples), `faces` (their pictures), `session` (what one person does).

`server` serves it on the loopback address, and `guard` says to whom; `agreement` compares two people.
"""
