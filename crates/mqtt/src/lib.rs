//! mqtt
#![no_std]
