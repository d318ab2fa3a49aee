#![doc = include_str!("../docs/modelling.md")]
