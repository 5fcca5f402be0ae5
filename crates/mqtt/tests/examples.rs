//! The examples do what they say, against the broker of the demo.

use std::net::TcpStream;
use std::sync::Arc;

#[path = "../examples/client.rs"]
#[allow(dead_code, reason = "its `main` reads the command line")]
mod client;

#[test]
fn the_client_receives_what_it_publishes() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let broker = runtime.block_on(demo_broker::Broker::start(Arc::new(|_| ()))).expect("a broker");
    let stream = TcpStream::connect(broker.address()).expect("a connection");
    assert_eq!(client::run(stream).expect("an exchange"), b"21.5");
}
