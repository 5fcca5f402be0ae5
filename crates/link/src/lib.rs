//! link
#![no_std]
