//! Tests of next hops and router ids.
