//! Services of type LoadBalancer: which address each asks for, who holds it, what is written.

pub mod record;
