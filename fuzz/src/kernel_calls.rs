//! Sequences of system calls by a hostile application, with a cloud that may be hostile too.
//!
//! Registers and memory are what the bytes say, or what a correct application would pass, or something between.
//! Memory may be made to change between two reads of the kernel, as it does when another context of the application
//! (a handler, a DMA) writes during a call. Checked is that the kernel neither panics nor reads or writes outside the
//! application's memory, and that it accepts no handle it never gave.

mod host;
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
