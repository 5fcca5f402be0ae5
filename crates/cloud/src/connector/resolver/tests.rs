use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use tokio::net::UdpSocket;

use super::*;
use crate::id::AccountId;
use crate::id::DeviceId;

/// A name server on loopback. Names below `dead.test` it never answers, below `none.test` it says there are none, below
/// `half.test` it answers only for IPv4; all others are 192.0.2.7 and 2001:db8::7 for as long as their first label
/// says, in seconds.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let server =
            Self { address: socket.local_addr().expect("bound"), asked: Arc::new(AtomicUsize::new(0)) };
        let asked = server.asked.clone();
        tokio::spawn(async move {
            let mut query = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                asked.fetch_add(1, Ordering::SeqCst);
                if let Some(answer) = answer(&query[..length]) {
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        server
    }

    fn resolver(&self, adjust: impl FnOnce(&mut Limits)) -> Resolver {
        let mut limits = Limits { resolve_timeout: Duration::from_hours(1), ..Limits::default() };
        adjust(&mut limits);
        Resolver::new(vec![self.address], &limits)
    }

    /// Questions since last asked.
    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

/// The answer to a query (RFC 1035, 4), if the server answers it.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    const AAAA: u8 = 28;
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..][..length]).into_owned());
        at += 1 + length;
    }
    let question = &query[12..at + 5];
    let is_v6 = query[at + 2] == AAAA;
    let zone = labels.get(labels.len().saturating_sub(2)).map_or("", String::as_str);
    if zone == "dead" || (zone == "half" && is_v6) {
        return None;
    }
    let does_not_exist = zone == "none";
    let ttl = labels[0].parse::<u32>().unwrap_or(60);
    let mut answer = query[..2].to_vec();
    answer.extend([
        0x81,
        0x80 | (u8::from(does_not_exist) * 3),
        0,
        1,
        0,
        u8::from(!does_not_exist),
        0,
        0,
        0,
        0,
    ]);
    answer.extend(question);
    if !does_not_exist {
        answer.extend([0xc0, 12, 0, query[at + 2], 0, 1]);
        answer.extend(ttl.to_be_bytes());
        let v6 = "2001:db8::7".parse::<std::net::Ipv6Addr>().expect("an address").octets();
        let data: &[u8] = if is_v6 { &v6 } else { &[192, 0, 2, 7] };
        answer.extend([0, data.len() as u8]);
        answer.extend(data);
    }
    Some(answer)
}

fn device_of(account: AccountId) -> Owner {
    Owner { account: Some(account), device: Some(DeviceId::random()) }
}

fn account() -> AccountId {
    AccountId::random()
}

type LookUp<'a> = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, ConnectError>> + Send + 'a>>;

/// Begins a look-up, which is not over at once.
fn begin<'a>(resolver: &'a Resolver, owner: Owner, host: &'a str) -> LookUp<'a> {
    let mut look_up: LookUp<'a> = Box::pin(resolver.look_up(owner, host));
    assert!(look_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    look_up
}

/// Shows M19, D181.
#[tokio::test]
async fn a_name_has_addresses_of_both_kinds_in_turns() {
    let (server, owner) = (Server::start().await, device_of(account()));
    let found = server.resolver(|_| ()).look_up(owner, "60.live.test").await.expect("found");
    assert_eq!(found, ["192.0.2.7".parse::<IpAddr>().expect("one"), "2001:db8::7".parse().expect("one")]);
    let resolver = server.resolver(|_| ());
    assert_eq!(resolver.look_up(owner, "a.none.test").await, Err(ConnectError::NameNotResolved));
    assert_eq!(resolver.look_up(owner, "not a name..").await, Err(ConnectError::NameNotResolved));
}

/// Shows D181: name servers that answer for one kind of address only delay nothing for long.
#[tokio::test]
async fn a_name_server_that_answers_for_ipv4_only_is_enough() {
    let server = Server::start().await;
    let found = server.resolver(|_| ()).look_up(device_of(account()), "60.half.test").await.expect("found");
    assert_eq!(found, ["192.0.2.7".parse::<IpAddr>().expect("one")]);
}

/// Shows D181: an answer is cached for its time to live, within bounds, and a failure for a moment.
#[tokio::test]
async fn answers_and_failures_are_kept_as_long_as_they_may_be() {
    let (server, owner) = (Server::start().await, device_of(account()));
    let resolver = server.resolver(|_| ());
    for _ in 0..3 {
        resolver.look_up(owner, "60.live.test").await.expect("found");
        resolver.look_up(owner, "60.LIVE.test").await.expect("found");
    }
    assert_eq!(server.asked(), 2, "once for each kind of address");
    for _ in 0..3 {
        assert_eq!(resolver.look_up(owner, "a.none.test").await, Err(ConnectError::NameNotResolved));
    }
    assert_eq!(server.asked(), 2);
    for _ in 0..3 {
        resolver.look_up(owner, "0.live.test").await.expect("found");
    }
    assert_eq!(server.asked(), 6, "an answer that is not to be kept is not");
    assert!(MAX_FAILURE_CACHE_TIME <= Duration::from_secs(10) && MAX_CACHE_TIME <= Duration::from_mins(10));
}

/// Shows D181: a name that is not answered for times out, and is not queried again at once.
#[tokio::test]
async fn a_name_that_is_never_answered_for_times_out_and_is_cached() {
    let (server, owner) = (Server::start().await, device_of(account()));
    let resolver = server.resolver(|limits| limits.resolve_timeout = Duration::from_millis(100));
    assert_eq!(resolver.look_up(owner, "a.dead.test").await, Err(ConnectError::ResolveTimedOut));
    assert!(server.asked() > 0);
    assert_eq!(
        resolver.look_up(device_of(account()), "a.dead.test").await,
        Err(ConnectError::ResolveTimedOut)
    );
    assert_eq!(server.asked(), 0);
}

/// Shows D181.
///
/// The fault of a pool of threads: devices whose names are never answered for delay no others, be it another account's
/// device or one of the same.
#[tokio::test]
async fn devices_with_names_that_are_never_answered_for_delay_no_others() {
    let (server, noisy) = (Server::start().await, account());
    let resolver = server.resolver(|_| ());
    let hosts: Vec<String> = (0..400).map(|number| format!("n{number}.dead.test")).collect();
    let (mut held, mut refused) = (Vec::new(), 0);
    for device in hosts.chunks(10) {
        let owner = device_of(noisy);
        for host in device {
            let mut look_up: LookUp<'_> = Box::pin(resolver.look_up(owner, host));
            match look_up.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                std::task::Poll::Pending => held.push(look_up),
                std::task::Poll::Ready(outcome) => {
                    assert_eq!(outcome, Err(ConnectError::TooManyLookups));
                    refused += 1;
                }
            }
        }
    }
    assert_eq!((held.len(), refused), (40 * LOOKUPS_PER_DEVICE, 40 * (10 - LOOKUPS_PER_DEVICE)));
    resolver.look_up(device_of(account()), "1.live.test").await.expect("found");
    resolver.look_up(device_of(noisy), "2.live.test").await.expect("found");
}

/// Shows D181: also when every place is taken, the largest user's look-up gives way, and ends.
#[tokio::test]
async fn when_every_place_is_taken_the_largest_user_gives_way() {
    let (server, noisy) = (Server::start().await, account());
    let resolver = server.resolver(|limits| limits.name_lookups = 4);
    let owner = device_of(noisy);
    let hosts = ["a.dead.test", "b.dead.test", "c.dead.test", "d.dead.test"];
    let mut held = hosts.map(|host| begin(&resolver, owner, host)).into_iter();
    resolver.look_up(device_of(account()), "1.live.test").await.expect("found");
    assert_eq!(held.next().expect("the oldest").await, Err(ConnectError::TooManyLookups));
    let again = begin(&resolver, owner, "a.dead.test");
    resolver.look_up(device_of(noisy), "2.live.test").await.expect("found, in the same account");
    drop((held, again));
}

/// Shows D181: a look-up that is no longer waited for holds nothing.
#[tokio::test]
async fn a_cancelled_look_up_gives_its_place_back() {
    let (server, owner) = (Server::start().await, device_of(account()));
    let resolver = server.resolver(|limits| limits.name_lookups = 1);
    for _ in 0..100 {
        drop(begin(&resolver, owner, "a.dead.test"));
    }
    resolver.look_up(owner, "1.live.test").await.expect("found");
}
