//! Tests of openvisor-app on the device, with the network.

#![no_std]
#![no_main]

use openvisor_app::config::{Fetch, Key};
use openvisor_app::sys::{
    MV_CHANNELTYPE_CONFIGFETCH, MV_CONFIGFETCHRESULT_OK, MV_CONFIGKEYFETCHRESULT_KEYNOTFOUND,
    MV_NETWORKSTATUS_CONNECTED, MV_STATUS_BUFFERALREADYINUSE,
};
use openvisor_app::{Buffers, Channel, Network, Result};

openvisor_app::centre!(static EVENTS on TIM8_BRK);

static BUFFERS: Buffers<1024, 512> = Buffers::new();
static MORE_BUFFERS: Buffers<1024, 512> = Buffers::new();
/// How long the cloud may take to answer.
const ANSWER_MS: u32 = 15_000;

openvisor_app::tests! {
    #[test]
    fn a_channel_owns_its_buffers_until_it_is_dropped() -> Result<()> {
        let network = connected()?;
        let open = || Channel::open(MV_CHANNELTYPE_CONFIGFETCH, &network, &EVENTS, &BUFFERS);
        let first = open()?;
        assert_eq!(open().err(), Some(MV_STATUS_BUFFERALREADYINUSE));
        drop(first);
        // More often than there may be channels at a time: each was closed.
        for _ in 0..5 {
            drop(open()?);
        }
        Ok(())
    }

    #[test]
    fn two_channels_have_buffers_of_their_own() -> Result<()> {
        let network = connected()?;
        let first = Channel::open(MV_CHANNELTYPE_CONFIGFETCH, &network, &EVENTS, &BUFFERS)?;
        let second = Channel::open(MV_CHANNELTYPE_CONFIGFETCH, &network, &EVENTS, &MORE_BUFFERS)?;
        assert!(first.handle() != second.handle());
        Ok(())
    }

    #[test]
    fn a_key_that_is_not_set_is_not_found() -> Result<()> {
        let network = connected()?;
        let fetch = Fetch::open(&network, &EVENTS, &BUFFERS)?;
        fetch.request(&[Key::device("is-never-set")])?;
        assert!(fetch.channel().wait_readable(ANSWER_MS), "no answer");
        let answer = fetch.answer()?;
        assert_eq!((answer.result, answer.num_items), (MV_CONFIGFETCHRESULT_OK, 1));
        let mut value = [0; 64];
        let (result, _) = fetch.item(0, &mut value)?;
        assert_eq!(result, MV_CONFIGKEYFETCHRESULT_KEYNOTFOUND);
        Ok(())
    }

    #[test]
    fn the_network_stays_connected_while_one_request_is_left() -> Result<()> {
        let first = connected()?;
        let second = connected()?;
        drop(first);
        assert_eq!(second.status()?, MV_NETWORKSTATUS_CONNECTED);
        Ok(())
    }
}

fn connected() -> Result<Network> {
    let network = Network::request(&EVENTS)?;
    network.wait_connected()?;
    Ok(network)
}
