"""One function per statement; the proofs and what is printed instead stand in docs/theory.

`lmo` holds A.1 to A.4, `momentum` A.5 and A.6, `gd` B.1 to B.4, `networks` B.6. The
closure rules B.5 are the operations of `autowarmup.lab.theory.law.Law`. Arguments are numbers or
arrays with one entry per instance; a count is 0 wherever eps >= gap0 and never negative.
"""
