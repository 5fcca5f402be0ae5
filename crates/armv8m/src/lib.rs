//! armv8m
