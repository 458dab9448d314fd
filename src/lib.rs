//! hyclus
