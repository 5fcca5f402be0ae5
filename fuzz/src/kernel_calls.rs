//! Whole sequences of system calls by an application that means harm, and a cloud that may too.
//!
//! Registers and memory are whatever the bytes say, or what a good application would pass, or something between. While
//! the memory is *restless* it changes between two reads of the kernel, as it does when another context of the
//! application (a handler, a DMA) writes during a call. Held against it: the kernel neither panics nor reads or writes
//! outside the application's memory, and accepts no handle it never gave.

mod kit;
mod world;

use world::World;

use crate::source::Source;

pub(crate) fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut world = World::new(source.u8());
    while !source.is_empty() {
        world.step(&mut source);
    }
}
