//! Flags, gates, stages and rollback: a live system moved from an old implementation to a new one and back.
