//! Real routers for tests: FRR, BIRD and GoBGP, each in a network namespace of the lab.
