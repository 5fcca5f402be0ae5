//! relay
#![no_std]
